using Akka.Actor;
using Akka.TestKit;
using Vmm.Actors.Protocol;

namespace Vmm.Actors.Tests;

/// <summary>
/// A request ends in exactly one way, and that is told exactly once to who asked and once to all: done, refused by the guest, timed out,
/// cancelled by a reset. CPUs 1 and 2 may leave, 3 is disabled, 4 and 5 can be plugged.
/// </summary>
public sealed class HotplugOutcomeTests : HotplugTestKit
{
    private const int TimeoutMs = 400;

    public HotplugOutcomeTests()
        : base(new FakeMachine(enabled: 3, possible: 6, disabled: 1, canLeave: true))
    {
    }

    public static TheoryData<string, string> Cases()
    {
        var cases = new TheoryData<string, string>();
        foreach (string operation in (string[])["plug", "unplug", "enable", "disable"])
        {
            foreach (string kind in (string[])["done", "refused", "timed out", "reset", "done twice", "refused, then done",
                "done before a reset"])
            {
                cases.Add(operation, kind);
            }
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Outcome_is_told_once(string operation, string kind)
    {
        bool comes = operation is "plug" or "enable";
        (IProtocolMessage request, int cpu, string id) = operation switch
        {
            "plug" => (new PlugVcpu("core4", 4), 4, "core4"),
            "unplug" => ((IProtocolMessage)new UnplugVcpu("cpu-1"), 1, "cpu-1"),
            "enable" => (new SetVcpuAdmin(3, true), 3, "cpu-3"),
            _ => (new SetVcpuAdmin(2, false), 2, "cpu-2"),
        };
        IActorRef coordinator = Coordinator(kind == "timed out" ? TimeoutMs : NoTimeout);
        TestProbe all = CreateTestProbe();
        TestProbe resetter = CreateTestProbe();
        Sys.EventStream.Subscribe(all, typeof(HotplugOutcome));
        coordinator.Tell(request, TestActor);
        ExpectMsg(new HotplugAccepted(id, cpu));
        Await(comes ? $"insert {cpu}" : $"remove {cpu}");

        void Do()
        {
            if (comes)
            {
                _machine.Port.Ost(cpu, 1, 0);
            }
            else
            {
                _machine.Port.Eject(cpu);
            }
        }

        void Refuse() => _machine.Port.Ost(cpu, comes ? 1 : 3, 0x82);

        switch (kind)
        {
            case "done":
                Do();
                break;
            case "done twice":
                Do();
                Do();
                break;
            case "refused":
                Refuse();
                Refuse();
                break;
            case "refused, then done":
                // What a guest says of its own accord afterwards is no second end of the request; a CPU that it gives back is told of as
                // such.
                Refuse();
                _machine.Port.Ost(cpu, comes ? 1 : 3, 0);
                break;
            case "reset":
                coordinator.Tell(new ResetDevices(), resetter);
                break;
            case "done before a reset":
                Do();
                coordinator.Tell(new ResetDevices(), resetter);
                break;
        }

        // A CPU that is plugged is there for the guest that boots after a reset; of an unplug, nothing is left.
        HotplugOutcomeKind expected = kind switch
        {
            "timed out" => HotplugOutcomeKind.TimedOut,
            "refused" or "refused, then done" => HotplugOutcomeKind.Refused,
            "reset" when !comes => HotplugOutcomeKind.Cancelled,
            _ => HotplugOutcomeKind.Done,
        };
        var outcome = new HotplugOutcome(
            id, cpu, Enum.Parse<HotplugOperation>(operation, ignoreCase: true), expected,
            expected == HotplugOutcomeKind.Refused ? 0x82 : 0);
        ExpectMsg(outcome);
        all.ExpectMsg(outcome);
        if (kind is "reset" or "done before a reset")
        {
            resetter.ExpectMsg(new DevicesReset(""));
        }

        ExpectNoMsg(150);
        all.ExpectNoMsg(50);
    }
}
