using Akka.Actor;
using Akka.TestKit;
using Vmm.Actors.Hotplug;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vcpu;
using Vmm.Actors.Vm;
using Vmm.Emulation;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Snapshots;

namespace Vmm.Actors.Tests;

/// <summary>Saving and loading a VM, beside hotplug, reset, shutdown and failures.</summary>
public sealed class SnapshotTests : VmTestKit
{
    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"vmm-snapshots-{Guid.NewGuid():N}");
    private readonly FakeJournal _journal = new();

    protected override void AfterAll()
    {
        base.AfterAll();
        if (Directory.Exists(_folder))
        {
            Directory.Delete(_folder, recursive: true);
        }
    }

    private SnapshotStore Store => new(_folder);

    private IActorRef MakeVm(FakeMachine machine, FakeJournal journal, bool withStore = true)
    {
        journal.PowerOn(machine);
        var options = new VmOptions(VcpuManager.VcpuDispatcher, Patience.Limit, _ => { })
        {
            Journal = journal,
            Snapshots = withStore ? Store : null,
        };
        return Sys.ActorOf(Props.Create(() => new VmSupervisor(machine, options)));
    }

    private IActorRef StartVm(bool withStore = true)
    {
        IActorRef vm = MakeVm(_machine, _journal, withStore);
        vm.Tell(new StartVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Running, ""), s_patience);
        return vm;
    }

    private void Save(IActorRef vm, string tag = "one")
    {
        vm.Tell(new SaveSnapshot(tag, Replace: true, Compress: false), TestActor);
        ExpectMsg(new SnapshotSaved(tag), s_patience);
    }

    /// <summary>They are the host's, not the guest's: what was used after the save was used, too.</summary>
    [Fact]
    public void Times_of_vCPUs_do_not_go_back_with_a_load()
    {
        IActorRef vm = StartVm();
        Save(vm);
        VcpuTimes Times()
        {
            vm.Tell(new GetVcpuTimes(), TestActor);
            return ExpectMsg<VcpuTimes>(s_patience);
        }

        VcpuTimes saved = Times(), before = saved;
        AwaitCondition(() => (before = Times()).BusyNs[0] > saved.BusyNs[0], s_patience);
        vm.Tell(new LoadSnapshot("one"), TestActor);
        ExpectMsg<SnapshotLoaded>(s_patience);
        VcpuTimes after = before;
        AwaitCondition(() => (after = Times()).BusyNs[0] > before.BusyNs[0], s_patience);
        Assert.Equal(saved.Meter, after.Meter);
        Assert.All(after.EnabledNs.Zip(before.EnabledNs), pair => Assert.True(pair.First >= pair.Second));
    }

    private string Rejection(IActorRef vm, IProtocolMessage request, RejectionCode code)
    {
        vm.Tell(request, TestActor);
        VmCommandRejected rejected = ExpectMsg<VmCommandRejected>(s_patience);
        Assert.Equal(code, rejected.Code);
        return rejected.Reason;
    }

    private static SaveSnapshot Again(string tag) => new(tag, Replace: false, Compress: false);

    private void RequireRuns(IActorRef vm, FakeMachine machine)
    {
        vm.Tell(new GetVmStatus(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Running, ""), s_patience);
        int runs = Volatile.Read(ref machine.Vcpu(0).Runs);
        AwaitCondition(() => Volatile.Read(ref machine.Vcpu(0).Runs) > runs);
        Assert.True(machine.ClockRuns);
    }

    /// <summary>
    /// A request that is rejected while its task runs, as when a part of the VM fails, is over: what the task answers later is not taken
    /// for the answer of the next request's task.
    /// </summary>
    [Fact]
    public void Task_that_ends_late_is_not_taken_for_that_of_the_next_request()
    {
        IActorRef vm = StartVm();
        vm.Tell(new StopVm(), TestActor);
        ExpectMsg<VmStatus>(s_patience);
        foreach ((string tag, byte filling) in new (string, byte)[] { ("one", 1), ("two", 2) })
        {
            _machine.Ram.Span(_machine.Ram.Start, 4096).Fill(filling);
            Save(vm, tag);
        }

        SemaphoreSlim[] turns = [new SemaphoreSlim(0), new SemaphoreSlim(0)];
        int tasks = 0;
        _machine.OnIdentity = () =>
        {
            int task = Interlocked.Increment(ref tasks);
            if (task <= turns.Length)
            {
                Assert.True(turns[task - 1].Wait(Patience.Limit));
            }
        };
        vm.Tell(new LoadSnapshot("one"), TestActor);
        AwaitCondition(() => Volatile.Read(ref tasks) == 1);
        Sys.ActorSelection(vm.Path / "snapshots").Tell(new VmCommandRejected(RejectionCode.ResetRequired, "a part has failed"));
        Assert.Equal("a part has failed", ExpectMsg<VmCommandRejected>(s_patience).Reason);
        vm.Tell(new LoadSnapshot("two"), TestActor);
        AwaitCondition(() => Volatile.Read(ref tasks) == 2);
        turns[0].Release();
        ExpectNoMsg(TimeSpan.FromMilliseconds(300));
        turns[1].Release();
        ExpectMsg<SnapshotLoaded>(s_patience);
        Assert.Equal(2, _machine.Ram.Span(_machine.Ram.Start, 1)[0]);
    }

    private PluggedVcpus Plugged(IActorRef vm)
    {
        vm.Tell(new GetPluggedVcpus(), TestActor);
        return ExpectMsg<PluggedVcpus>(s_patience);
    }

    [Fact]
    public void Vm_that_is_saved_goes_on_and_tells_of_the_hold()
    {
        IActorRef vm = StartVm();
        TestProbe listener = CreateTestProbe();
        Sys.EventStream.Subscribe(listener, typeof(VmStatus));
        Save(vm);
        Assert.Equal(VmRunState.SaveVm, listener.ExpectMsg<VmStatus>(s_patience).RunState);
        Assert.Equal(VmRunState.Running, listener.ExpectMsg<VmStatus>(s_patience).RunState);
        RequireRuns(vm, _machine);
        using Snapshot snapshot = Store.Open("one");
        snapshot.Verify();
        Assert.Equal(
            ["power-on", "psci", "gic/gicv3", "uart/pl011", "uart/uart-input", "rtc/pl031", "ged/ged", "hotplug/hotplug"],
            snapshot.ReadState().Select(u => u.Id));
        Assert.Equal([new(0, "cpu-0", true), new(1, "cpu-1", true), new(2, "", false), new SavedCpu(3, "", false)], snapshot.Manifest.Cpus);
    }

    /// <summary>
    /// A vCPU writes one number to two distant pages, again and again. A page that was copied before the guest was held, and not again,
    /// would have an older number than the other.
    /// </summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Guest_that_writes_while_it_is_saved_is_saved_as_at_one_moment(bool compress)
    {
        GuestMemory ram = _machine.Ram;
        GuestPhysicalAddress[] places = [ram.Start, ram.Start + (512 << 10)];
        long Number(GuestMemory memory, int place) => BitConverter.ToInt64(memory.Span(places[place], sizeof(long)));
        long count = 0;
        _machine.Vcpu(0).Work = () =>
        {
            count++;
            Array.ForEach(places, place => _machine.Bus.TryWrite(place.Value, BitConverter.GetBytes(count)));
        };
        IActorRef vm = StartVm();
        for (int i = 0; i < 5; i++)
        {
            RequireRuns(vm, _machine);
            long before = Number(ram, 0);
            vm.Tell(new SaveSnapshot("one", Replace: true, compress), TestActor);
            ExpectMsg(new SnapshotSaved("one"), s_patience);
            using Snapshot snapshot = Store.Open("one");
            snapshot.Verify();
            using var saved = new GuestMemory(ram.Start, ram.Size);
            snapshot.LoadRam(saved);
            Assert.Equal(Number(saved, 0), Number(saved, 1));
            Assert.InRange(Number(saved, 0), Math.Max(before, 1), Number(ram, 0));
        }
    }

    /// <summary>A page that is mapped is not read by the load; that it is damaged is found in the background.</summary>
    [Fact]
    public void Damaged_page_of_a_machine_that_was_loaded_is_an_internal_error_and_a_reset_leads_out()
    {
        IActorRef vm = StartVm();
        _machine.Ram.Span(_machine.Ram.Start, 4).Fill(7);
        Save(vm);
        string file = Path.Combine(_folder, "one", "ram-1");
        byte[] bytes = File.ReadAllBytes(file);
        bytes[2] ^= 1;
        File.WriteAllBytes(file, bytes);
        vm.Tell(new LoadSnapshot("one"), TestActor);
        ExpectMsg(new SnapshotLoaded("one"), s_patience);
        Assert.Equal(
            "snapshot 'one': block 0 of RAM is damaged: its checksum is wrong", AwaitStatus(vm, VmRunState.InternalError));
        ResetAndGoOn(vm);
        Save(vm);
    }

    [Fact]
    public void Paused_vm_stays_paused()
    {
        IActorRef vm = StartVm();
        vm.Tell(new StopVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Paused, ""), s_patience);
        Save(vm);
        vm.Tell(new LoadSnapshot("one"), TestActor);
        ExpectMsg(new SnapshotLoaded("one"), s_patience);
        vm.Tell(new GetVmStatus(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Paused, ""), s_patience);
        Assert.False(_machine.ClockRuns);
        vm.Tell(new ContinueVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Running, ""), s_patience);
        RequireRuns(vm, _machine);
    }

    [Fact]
    public void Another_process_goes_on_with_the_plugged_cpus_and_its_journal_says_so()
    {
        IActorRef vm = StartVm();
        PlugAndConfirm(vm, "extra", 2);
        _machine.Ram.Span(_machine.Ram.Start, 4).Fill(7);
        Save(vm);

        // What that machine had plugged itself is not in the snapshot.
        var other = new FakeMachine(enabled: 2, possible: 4);
        var journal = new FakeJournal();
        journal.Append([new PlugStarted("mine", 3, 0), new PlugConfirmed("mine", 3, 0)]);
        IActorRef second = MakeVm(other, journal);
        second.Tell(new LoadSnapshot("one"), TestActor);
        ExpectMsg(new SnapshotLoaded("one"), s_patience);
        PluggedVcpus plugged = Plugged(second);
        Assert.Equal(["extra"], plugged.Ids);
        Assert.Equal([2], plugged.Cpus);
        Assert.Equal("extra", Assert.Single(journal.State.Plugged).Value);
        Assert.Equal([true, true, true, false], Enumerable.Range(0, 4).Select(other.IsEnabled));
        Assert.Equal(7, other.Ram.Span(other.Ram.Start, 4)[3]);
        Assert.Equal(0, other.Resets);
        second.Tell(new ContinueVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Running, ""), s_patience);
        RequireRuns(second, other);

        // Hotplug goes on from there.
        second.Tell(new UnplugVcpu("extra"), TestActor);
        ExpectMsg(new HotplugAccepted("extra", 2), s_patience);
        AwaitAssert(() => Assert.Contains("remove 2", other.Log), s_patience);
        other.Port.Eject(2);
        ExpectMsg(new HotplugOutcome("extra", 2, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0), s_patience);
        second.Tell(new PlugVcpu("third", 3), TestActor);
        ExpectMsg(new HotplugAccepted("third", 3), s_patience);
        AwaitAssert(() => Assert.Contains("insert 3", other.Log), s_patience);
    }

    /// <summary>The saved machine's CPUs of power-on are taken, in each direction, and one line says so.</summary>
    [Theory]
    [InlineData(1, 0, false, 2, 0, false)]
    [InlineData(2, 0, false, 1, 0, false)]
    [InlineData(1, 1, true, 2, 0, false)]
    [InlineData(2, 0, false, 1, 2, true)]
    [InlineData(2, 0, true, 2, 0, false)]
    [InlineData(2, 0, false, 2, 0, true)]
    public void Machine_with_other_cpus_at_power_on_takes_those_of_the_snapshot(
        int enabled, int disabled, bool canLeave, int enabledHere, int disabledHere, bool canLeaveHere)
    {
        var saved = new FakeMachine(enabled, possible: 4, disabled, canLeave);
        IActorRef vm = MakeVm(saved, _journal);
        vm.Tell(new StartVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Running, ""), s_patience);
        vm.Tell(new PlugVcpu("extra", 3), TestActor);
        ExpectMsg(new HotplugAccepted("extra", 3), s_patience);
        AwaitAssert(() => Assert.Contains("insert 3", saved.Log), s_patience);
        saved.Port.Ost(3, 1, 0);
        ExpectMsg<HotplugOutcome>(s_patience);
        Save(vm);

        TestProbe listener = CreateTestProbe();
        Sys.EventStream.Subscribe(listener, typeof(VmNotice));
        var other = new FakeMachine(enabledHere, possible: 4, disabledHere, canLeaveHere);
        var journal = new FakeJournal();
        IActorRef second = MakeVm(other, journal);
        second.Tell(new LoadSnapshot("one"), TestActor);
        ExpectMsg(new SnapshotLoaded("one"), s_patience);
        Assert.Contains($"-smp cpus={enabled}", listener.ExpectMsg<VmNotice>(s_patience).Text);
        Assert.Equal(saved.PowerOnCpus.Set, other.PowerOnCpus.Set);
        Assert.Equal(Enumerable.Range(0, 4).Select(saved.IsEnabled), Enumerable.Range(0, 4).Select(other.IsEnabled));
        Assert.Equal(["extra"], Plugged(second).Ids);

        // Which CPUs can leave is as the guest was told; and so it is after a reset.
        second.Tell(new ContinueVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Running, ""), s_patience);
        for (int i = 0; i < 2; i++)
        {
            second.Tell(new SetVcpuAdmin(1, Enabled: false), TestActor);
            if (enabled == 2 && !canLeave)
            {
                Assert.Equal(RejectionCode.CannotLeave, ExpectMsg<HotplugRejected>(s_patience).Code);
            }
            else if (enabled + disabled == 1)
            {
                Assert.Equal(RejectionCode.DeviceNotFound, ExpectMsg<HotplugRejected>(s_patience).Code);
            }
            else
            {
                ExpectMsg<HotplugAccepted>(s_patience);
                break;
            }

            second.Tell(new ResetVm(), TestActor);
            ExpectMsg(new VmStatus(VmRunState.Running, ""), s_patience);
        }
    }

    [Fact]
    public void Plug_that_the_guest_has_not_answered_is_pending_after_the_load_and_is_not_announced_again()
    {
        IActorRef vm = StartVm();
        vm.Tell(new PlugVcpu("late", 2), TestActor);
        ExpectMsg(new HotplugAccepted("late", 2), s_patience);
        AwaitLog("insert 2");
        Save(vm);

        // The first timeline: the guest refuses.
        _machine.Port.Ost(2, 1, 0x80);
        ExpectMsg(new HotplugOutcome("late", 2, HotplugOperation.Plug, HotplugOutcomeKind.Refused, 0x80), s_patience);

        // The second: it takes the CPU.
        TestProbe listener = CreateTestProbe();
        Sys.EventStream.Subscribe(listener, typeof(HotplugOutcome));
        vm.Tell(new LoadSnapshot("one"), TestActor);
        ExpectMsg(new SnapshotLoaded("one"), s_patience);
        Assert.Single(_journal.State.Pending);
        _machine.Port.Ost(2, 1, 0);
        Assert.Equal(
            new HotplugOutcome("late", 2, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0),
            listener.ExpectMsg<HotplugOutcome>(s_patience));
        Assert.Equal(1, _machine.Log.Count(l => l == "insert 2"));
    }

    [Fact]
    public void Last_answers_of_the_guest_come_back()
    {
        IActorRef vm = StartVm();
        PlugAndConfirm(vm, "extra", 2);
        Save(vm);
        _machine.Port.Ost(2, 3, 0x81);
        vm.Tell(new LoadSnapshot("one"), TestActor);
        ExpectMsg(new SnapshotLoaded("one"), s_patience);
        vm.Tell(new GetAcpiOspmStatus(), TestActor);
        AcpiOspmStatus status = ExpectMsg<AcpiOspmStatus>(s_patience);
        Assert.Equal((1, 0), (status.Sources[2], status.Statuses[2]));
    }

    [Fact]
    public void Save_comes_after_an_eject_that_is_under_way()
    {
        IActorRef vm = StartVm();
        PlugAndConfirm(vm, "extra", 2);
        vm.Tell(new UnplugVcpu("extra"), TestActor);
        ExpectMsg(new HotplugAccepted("extra", 2), s_patience);
        AwaitLog("remove 2");
        _machine.Port.Eject(2);
        vm.Tell(Again("one"), TestActor);
        ExpectMsg(new HotplugOutcome("extra", 2, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0), s_patience);
        ExpectMsg(new SnapshotSaved("one"), s_patience);
        using Snapshot snapshot = Store.Open("one");
        Assert.Equal(new SavedCpu(2, "", false), snapshot.Manifest.Cpus[2]);
        Assert.Contains("executable 2 False", _machine.Log);
    }

    [Fact]
    public void Requests_during_a_save_are_carried_out_after_it_in_their_order()
    {
        IActorRef vm = StartVm();
        vm.Tell(Again("one"), TestActor);
        vm.Tell(new PlugVcpu("extra", 2), TestActor);
        vm.Tell(Again("two"), TestActor);
        vm.Tell(new StopVm(), TestActor);
        object[] answers = [.. Enumerable.Range(0, 4).Select(_ => ReceiveOne(s_patience))];
        Assert.Contains(new SnapshotSaved("one"), answers);
        Assert.Contains(new SnapshotSaved("two"), answers);
        Assert.Contains(new HotplugAccepted("extra", 2), answers);
        Assert.Contains(new VmStatus(VmRunState.Paused, ""), answers);
        using Snapshot two = Store.Open("two");
        two.Verify();
        AwaitStatus(vm, VmRunState.Paused);
    }

    [Fact]
    public void Guest_that_resets_itself_does_so_before_it_is_saved()
    {
        IActorRef vm = StartVm();
        int resets = _machine.Resets;
        TestProbe listener = CreateTestProbe();
        Sys.EventStream.Subscribe(listener, typeof(VmReset));
        Sys.EventStream.Subscribe(listener, typeof(VmStatus));

        // The vCPU asks for the reset when the pause has been asked for: its message comes while the VM is paused.
        _machine.Vcpu(0).Script.Add(() =>
        {
            vm.Tell(Again("one"), TestActor);
            Thread.Sleep(50);
            return VcpuExit.SystemReset;
        });
        ExpectMsg(new SnapshotSaved("one"), s_patience);
        Assert.Equal(resets + 1, _machine.Resets);
        AwaitCondition(() => listener.HasMessages);
        RequireRuns(vm, _machine);
    }

    [Fact]
    public void Guest_that_powers_off_is_not_saved()
    {
        IActorRef vm = StartVm();
        _machine.Vcpu(0).Script.Add(() =>
        {
            vm.Tell(Again("one"), TestActor);
            Thread.Sleep(50);
            return VcpuExit.SystemOff;
        });
        Assert.Equal("the guest has shut down", ExpectMsg<VmCommandRejected>(s_patience).Reason);
        AwaitStatus(vm, VmRunState.Shutdown);
        Assert.Empty(Store.List());
        Assert.Equal(
            "the guest has shut down", Rejection(vm, Again("one"), RejectionCode.WrongRunState));
    }

    [Fact]
    public void What_cannot_be_is_rejected_and_the_vm_goes_on()
    {
        IActorRef vm = StartVm();
        Assert.Equal("Snapshot 'none' does not exist", Rejection(vm, new LoadSnapshot("none"), RejectionCode.SnapshotNotFound));
        Rejection(vm, new DeleteSnapshot("none"), RejectionCode.SnapshotNotFound);
        Rejection(vm, new SaveSnapshot("../x", true, false), RejectionCode.InvalidArgument);
        Save(vm);
        Rejection(vm, Again("one"), RejectionCode.DuplicateId);

        var smaller = new FakeMachine(enabled: 2, possible: 3);
        IActorRef other = MakeVm(smaller, new FakeJournal());
        Assert.Contains("cores 4 (here 3)", Rejection(other, new LoadSnapshot("one"), RejectionCode.InvalidState));

        string state = Directory.GetFiles(Path.Combine(_folder, "one"), "state-*").Single();
        byte[] bytes = File.ReadAllBytes(state);
        bytes[^1] ^= 1;
        File.WriteAllBytes(state, bytes);
        Assert.Contains("checksum is wrong", Rejection(vm, new LoadSnapshot("one"), RejectionCode.InvalidState));
        RequireRuns(vm, _machine);
        Assert.DoesNotContain("loaded", _machine.Log);
        vm.Tell(new DeleteSnapshot("one"), TestActor);
        ExpectMsg(new SnapshotDeleted("one"), s_patience);
        Assert.Empty(Store.List());
    }

    [Fact]
    public void Vm_without_a_place_for_snapshots_says_so()
    {
        IActorRef vm = StartVm(withStore: false);
        Assert.Contains("--state", Rejection(vm, Again("one"), RejectionCode.NotSupported));
        vm.Tell(new GetSnapshots(), TestActor);
        Assert.Empty(ExpectMsg<SnapshotList>(s_patience).Tags);
    }

    [Fact]
    public void Vm_that_was_never_started_is_loaded_but_not_saved()
    {
        IActorRef vm = MakeVm(_machine, _journal);
        Assert.Equal("the VM has not been started", Rejection(vm, Again("one"), RejectionCode.WrongRunState));
    }

    [Fact]
    public void Journal_that_cannot_be_written_leaves_the_vm_as_it_is()
    {
        IActorRef vm = StartVm();
        PlugAndConfirm(vm, "extra", 2);
        Save(vm);
        vm.Tell(new UnplugVcpu("extra"), TestActor);
        ExpectMsg(new HotplugAccepted("extra", 2), s_patience);
        AwaitLog("remove 2");
        _journal.IsFull = true;

        // Loading is an event for the journal.
        Assert.Equal(FakeJournal.Full, Rejection(vm, new LoadSnapshot("one"), RejectionCode.NotWritten));
        RequireRuns(vm, _machine);

        // The guest gives the CPU back, which is not in the journal yet: there is no state to save.
        _machine.Port.Eject(2);
        AwaitLog("executable 2 False");
        Assert.Contains("cannot be written", Rejection(vm, Again("two"), RejectionCode.NotWritten));
        RequireRuns(vm, _machine);
        _journal.IsFull = false;
        ExpectMsg(new HotplugOutcome("extra", 2, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0), s_patience);
        Save(vm, "two");
    }

    [Fact]
    public void Machine_that_is_loaded_in_part_is_an_internal_error_and_a_reset_leads_out()
    {
        IActorRef vm = StartVm();
        Save(vm);
        Volatile.Write(ref _machine.Broken, "load");
        Assert.Contains("load is broken", Rejection(vm, new LoadSnapshot("one"), RejectionCode.ResetRequired));
        Assert.Contains("loaded in part", AwaitStatus(vm, VmRunState.InternalError));
        Rejection(vm, Again("two"), RejectionCode.WrongRunState);
        Volatile.Write(ref _machine.Broken, null);
        ResetAndGoOn(vm);
        Save(vm);
    }

    [Fact]
    public void Many_saves_and_loads_lose_no_cpu()
    {
        IActorRef vm = StartVm();
        for (int i = 0; i < 10; i++)
        {
            PlugAndConfirm(vm, $"c{i}", 2 + (i % 2));
            Save(vm, $"s{i}");
            vm.Tell(new UnplugVcpu($"c{i}"), TestActor);
            ExpectMsg(new HotplugAccepted($"c{i}", 2 + (i % 2)), s_patience);
            _machine.Port.Eject(2 + (i % 2));
            ExpectMsg(new HotplugOutcome($"c{i}", 2 + (i % 2), HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0), s_patience);
        }

        for (int i = 9; i >= 0; i--)
        {
            vm.Tell(new LoadSnapshot($"s{i}"), TestActor);
            ExpectMsg(new SnapshotLoaded($"s{i}"), s_patience);
            Assert.Equal([$"c{i}"], Plugged(vm).Ids);
            Assert.Equal((i % 2 == 0, i % 2 == 1), (_machine.IsEnabled(2), _machine.IsEnabled(3)));
        }

        RequireRuns(vm, _machine);
        vm.Tell(new GetSnapshots(), TestActor);
        Assert.Equal(10, ExpectMsg<SnapshotList>(s_patience).Tags.Length);
    }
}
