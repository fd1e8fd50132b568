using Akka.Actor;
using Vmm.Fleet.Messages;
using Vmm.Host.Guest;

namespace Vmm.Fleet.Tests.Nodes;

/// <summary>CPUs of a Linux guest, whose answers are the outcomes of requests.</summary>
public sealed class GuestCpuTests : NodeTestKit
{
    private const string Vm = "guest";

    [Fact]
    public async Task Resize_plugs_and_unplugs_what_the_guest_gives_back()
    {
        GuestFiles files = await GuestAssets.EnsureAsync(new GuestKernel(GuestFlavour.Cloud));
        var spec = new VmSpec(1, 4, 512 << 20, "max", files.Kernel, files.Initramfs, "console=ttyAMA0 quiet", "", []);
        IActorRef node = StartNode(NewFolder());
        Assert.Equal(RequestOutcome.Done, Do(node, new RunVm(Vm, NewId(), spec)).Outcome);

        // The guest that boots has not answered yet, or does so later: the end says which.
        RequestEnded end;
        do
        {
            end = Do(node, new ResizeVm(Vm, NewId(), 3));
            Assert.True(end.Outcome is RequestOutcome.Done or RequestOutcome.TimedOut, end.ToString());
        }
        while (end.Outcome != RequestOutcome.Done);
        Patience.Until(() => ReportOf(node, Vm).EnabledCpus == 3, "3 CPUs are enabled");
        Assert.Equal([], Do(node, new ResizeVm(Vm, NewId(), 3)).Cpus);

        end = Do(node, new ChangeCpu(Vm, NewId(), CpuChange.Disable, 2));
        Assert.Equal(RequestOutcome.Done, end.Outcome);
        Assert.Equal([new CpuOutcome(2, CpuChange.Disable, RequestOutcome.Done, 0, "")], end.Cpus);
        end = Do(node, new ResizeVm(Vm, NewId(), 4));
        Assert.Equal((2, CpuChange.Enable), (end.Cpus[0].Cpu, end.Cpus[0].Change));
        Assert.Equal(RequestOutcome.Done, end.Outcome);

        // The boot CPU stays.
        end = Do(node, new ResizeVm(Vm, NewId(), 1));
        Assert.Equal(RequestOutcome.Done, end.Outcome);
        Assert.Equal([3, 2, 1], end.Cpus.Select(c => c.Cpu));
        end = Do(node, new ChangeCpu(Vm, NewId(), CpuChange.Unplug, 0));
        Assert.Equal(RequestOutcome.Rejected, end.Outcome);
        Assert.Equal(RequestOutcome.Failed, Do(node, new ChangeCpu(Vm, NewId(), CpuChange.Plug, 4)).Outcome);
        Assert.Equal(RequestOutcome.Failed, Do(node, new ResizeVm(Vm, NewId(), 5)).Outcome);

        // A guest with an operating system hears its power button, or is told to end.
        Assert.Equal(RequestOutcome.Done, Do(node, new EndVm(Vm, NewId(), 1)).Outcome);
    }
}
