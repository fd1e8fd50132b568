using System.Diagnostics;
using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vcpu;

namespace Vmm.Actors.Tests;

/// <summary>How long vCPUs were enabled and busy, as it is seen from outside.</summary>
public sealed class VcpuTimesTests : MigrationTestKit
{
    private VcpuTimes Times(IActorRef vm)
    {
        vm.Tell(new GetVcpuTimes(), TestActor);
        return ExpectMsg<VcpuTimes>(s_patience);
    }

    private VcpuTimes AwaitBusier(IActorRef vm, VcpuTimes than, int cpu)
    {
        VcpuTimes times = than;
        AwaitCondition(() => (times = Times(vm)).BusyNs[cpu] > than.BusyNs[cpu], s_patience);
        RequireNotBefore(times, than);
        return times;
    }

    private static void RequireNotBefore(VcpuTimes times, VcpuTimes before)
    {
        Assert.Equal(before.Meter, times.Meter);
        Assert.True(times.RunNs >= before.RunNs);
        Assert.All(times.BusyNs.Zip(before.BusyNs), pair => Assert.True(pair.First >= pair.Second));
        Assert.All(times.EnabledNs.Zip(before.EnabledNs), pair => Assert.True(pair.First >= pair.Second));
        RequireOrder(times);
    }

    private static void RequireOrder(VcpuTimes times)
    {
        Assert.All(times.BusyNs.Zip(times.EnabledNs), pair => Assert.True(pair.First <= pair.Second));
        Assert.All(times.EnabledNs, enabled => Assert.True(enabled <= times.RunNs));
    }

    private static void RequireEqual(VcpuTimes expected, VcpuTimes times)
    {
        Assert.Equal((expected.Meter, expected.RunNs), (times.Meter, times.RunNs));
        Assert.Equal(expected.BusyNs, times.BusyNs);
        Assert.Equal(expected.EnabledNs, times.EnabledNs);
    }

    [Fact]
    public void A_machine_that_was_not_started_has_used_nothing() =>
        Assert.All([.. Times(Make()).BusyNs, .. Times(Make()).EnabledNs, Times(Make()).RunNs], time => Assert.Equal(0, time));

    [Fact]
    public void Enabled_vCPUs_are_counted_and_others_are_not()
    {
        IActorRef vm = Start();
        VcpuTimes times = AwaitBusier(vm, Times(vm), 0);
        RequireOrder(times);
        Assert.Equal([0, 0], times.BusyNs[2..].Concat(times.EnabledNs[2..]).Distinct().Append(0).Take(2));
        Assert.Equal(times.RunNs, times.EnabledNs[0]);
        Assert.Equal(times.RunNs, times.EnabledNs[1]);
    }

    [Fact]
    public void A_vCPU_is_counted_from_its_plug_to_its_eject_and_keeps_its_time()
    {
        IActorRef vm = Start();
        PlugAndConfirm(vm, "extra", 2);
        VcpuTimes plugged = Times(vm);
        AwaitCondition(() => Times(vm).EnabledNs[2] > plugged.EnabledNs[2], s_patience);
        vm.Tell(new UnplugVcpu("extra"), TestActor);
        ExpectMsg(new HotplugAccepted("extra", 2), s_patience);
        AwaitLog("remove 2");
        _machine.Port.Eject(2);
        ExpectMsg(new HotplugOutcome("extra", 2, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0), s_patience);
        VcpuTimes gone = Times(vm);
        RequireNotBefore(gone, plugged);
        Assert.True(gone.EnabledNs[2] > 0 && gone.EnabledNs[2] < gone.RunNs);
        VcpuTimes later = AwaitBusier(vm, gone, 0);
        Assert.Equal(gone.EnabledNs[2], later.EnabledNs[2]);
    }

    [Fact]
    public void Time_stands_still_while_the_VM_is_paused()
    {
        IActorRef vm = Start();
        AwaitBusier(vm, Times(vm), 0);
        vm.Tell(new StopVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Paused, ""), s_patience);
        VcpuTimes paused = Times(vm);
        RequireEqual(paused, Times(vm));
        vm.Tell(new ContinueVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Running, ""), s_patience);
        AwaitBusier(vm, paused, 0);
    }

    [Fact]
    public void A_reset_changes_nothing()
    {
        IActorRef vm = Start();
        VcpuTimes before = AwaitBusier(vm, Times(vm), 0);
        vm.Tell(new ResetVm(), TestActor);
        ExpectMsg<VmStatus>(s_patience);
        AwaitBusier(vm, before, 0);
    }

    [Fact]
    public void A_migration_goes_on_with_the_meter_of_the_sender()
    {
        Open();
        VcpuTimes before = AwaitBusier(_from, Times(_from), 0);
        string own = Times(_to).Meter;
        Assert.NotEqual(before.Meter, own);
        Migrate();
        Assert.Equal(MigrationStatus.Completed, AwaitEnd(_from).Status);
        Assert.Equal(MigrationStatus.Completed, AwaitEnd(_to).Status);
        VcpuTimes left = Times(_from);
        RequireNotBefore(left, before);
        RequireEqual(left, Times(_from));
        AwaitBusier(_to, left, 0);
    }

    [Fact]
    public void A_slice_that_is_under_way_counts_and_what_was_shown_once_stays()
    {
        var meter = new VcpuMeter(1);
        meter.SetEnabled(0, true);
        meter.SetRunning(true);
        long start = Stopwatch.GetTimestamp();
        meter.BeginSlice(0, start);
        long before = meter.Read().BusyNs[0], shown = before;
        AwaitCondition(() => (shown = meter.Read().BusyNs[0]) > before, s_patience);

        // Less than was shown, as for a reader that comes between the two writes of the end.
        meter.EndSlice(0, start, 1);
        Assert.InRange(meter.Read().BusyNs[0], shown, meter.Read().EnabledNs[0]);
        Assert.Equal(meter.Read().BusyNs, meter.Read().BusyNs);
    }

    [Fact]
    public void A_meter_adds_what_another_one_has_counted()
    {
        var meter = new VcpuMeter(2);
        meter.EndSlice(0, 1, 1000);
        var id = Guid.NewGuid();
        meter.Continue(new VcpuReading(id, 30, [10, 20], [25, 30]));
        VcpuReading reading = meter.Read();
        Assert.Equal((id, 30), (reading.Meter, reading.RunNs));
        Assert.Equal([1010, 20], reading.BusyNs);
        Assert.Equal([25, 30], reading.EnabledNs);
    }

    /// <summary>The file is read as after a kill: nobody has said that the VM stands.</summary>
    [Fact]
    public void The_times_outlive_the_process_in_a_file()
    {
        string path = Path.GetTempFileName();
        try
        {
            Assert.Null(VcpuMeter.ReadEnded(path));
            var meter = new VcpuMeter(2, path);
            meter.SetEnabled(0, true);
            meter.SetRunning(true);
            long start = Stopwatch.GetTimestamp();
            const long Slice = 1_000_000_000;
            meter.BeginSlice(0, start);
            meter.EndSlice(0, start, Slice);
            VcpuReading ended = VcpuMeter.ReadEnded(path)!;
            Assert.Equal(meter.Read().Meter, ended.Meter);
            Assert.Equal([Slice, 0], ended.BusyNs);

            // The end of the slice is the last sign of life, and is not counted yet.
            Assert.InRange(ended.RunNs, Slice, meter.Read().RunNs + Slice);
            Assert.Equal([ended.RunNs, 0], ended.EnabledNs);

            meter.SetRunning(false);
            VcpuReading now = meter.Read();
            ended = VcpuMeter.ReadEnded(path)!;
            Assert.Equal((now.Meter, now.RunNs), (ended.Meter, ended.RunNs));
            Assert.Equal(now.BusyNs.Concat(now.EnabledNs), ended.BusyNs.Concat(ended.EnabledNs));

            // Another process makes the file anew.
            Assert.NotEqual(now.Meter, new VcpuMeter(2, path).Read().Meter);
            Assert.Equal(0, VcpuMeter.ReadEnded(path)!.RunNs);
        }
        finally
        {
            File.Delete(path);
        }

        Assert.Null(VcpuMeter.ReadEnded(path));
    }
}
