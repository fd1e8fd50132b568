using Akka.Actor;
using Akka.TestKit;
using Vmm.Actors.Protocol;

namespace Vmm.Actors.Tests;

/// <summary>
/// Random requests, resets and restarts of the coordinator against a guest that answers at random: at once, late, twice, wrongly or not at
/// all, and ejects unasked. What holds then: a request ends once, and when all is quiet a CPU is plugged, has its actor and its GIC
/// interface if and only if it is enabled.
/// </summary>
public sealed class HotplugStressTests : HotplugTestKit
{
    private const int Steps = 500;
    private static readonly TimeSpan s_patience = Patience.Limit;
    private static readonly int[] s_ostSources = [1, 3, 0x103, 0x200, 7];
    private static readonly int[] s_ostStatuses = [0, 1, 0x82, 0x84];
    private static readonly int[] s_pluggable = [4, 5];

    private readonly TestProbe _requester;
    private readonly TestProbe _heard;
    private readonly List<string> _names = ["nobody"];
    private readonly Dictionary<string, int> _unplugs = [];
    private readonly Dictionary<string, int> _accepted = [];
    private readonly List<HotplugOutcome> _outcomes = [];
    private IActorRef _coordinator = ActorRefs.Nobody;
    private int _restarts;

    public HotplugStressTests()
    {
        _requester = CreateTestProbe();
        _heard = CreateTestProbe();
        Sys.EventStream.Subscribe(_heard, typeof(HotplugOutcome));
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(3, false)]
    [InlineData(4, true)]
    [InlineData(5, true)]
    [InlineData(6, true)]
    public void Requests_end_once_and_all_parts_agree_when_it_is_quiet(int seed, bool restarts)
    {
        var random = new Random(seed);
        _coordinator = Coordinator(timeoutMs: 30);
        for (int step = 0; step < Steps; step++)
        {
            Step(random, restarts);
        }

        _journal.IsFull = false;

        // What was asked before a reset is over after it; what waited for it begins then.
        int begun;
        do
        {
            begun = _accepted.Values.Sum();
            Reset();
            Reset();
        }
        while (_accepted.Values.Sum() > begun);

        Assert.True(_accepted.Values.Sum() > Steps / 50, $"only {_accepted.Values.Sum()} requests were accepted");

        // What could not be written is, in a moment; then it is told. A coordinator that is stopped before it has told what is written does
        // not get to; that is all that a restart may lose.
        AwaitAssert(
            () =>
            {
                while (_heard.HasMessages)
                {
                    _outcomes.Add(_heard.ExpectMsg<HotplugOutcome>());
                }

                Assert.InRange(_names.Count(name => !EndedOnce(name)), 0, _restarts);
            },
            s_patience);
        AssertAgreement();
    }

    private void Step(Random random, bool restarts)
    {
        int cpu = s_pluggable[random.Next(s_pluggable.Length)];
        switch (random.Next(100))
        {
            case < 20:
                _names.Add($"core-{_names.Count}");
                _coordinator.Tell(new PlugVcpu(_names[^1], random.Next(8) == 0 ? random.Next(-1, 8) : cpu), _requester);
                break;
            case < 40:
                string id = _names[random.Next(Math.Max(0, _names.Count - 4), _names.Count)];
                _unplugs[id] = _unplugs.GetValueOrDefault(id) + 1;
                _coordinator.Tell(new UnplugVcpu(id), _requester);
                break;
            case < 55:
                _machine.Port.Ost(cpu, 1, 0);
                break;
            case < 65:
                _machine.Port.Ost(cpu, s_ostSources[random.Next(s_ostSources.Length)], s_ostStatuses[random.Next(s_ostStatuses.Length)]);
                break;
            case < 78:
                if (_machine.IsEnabled(cpu))
                {
                    _machine.Port.Eject(cpu);
                }

                break;
            case < 81:
                Reset();
                break;
            case < 82:
                // The host stops the VM, or lets it go on.
                _coordinator.Tell(new VmStatus(random.Next(2) == 0 ? VmRunState.Paused : VmRunState.Running, ""), _requester);
                break;
            case < 84:
                // Nothing can be written for a while.
                _journal.IsFull = !_journal.IsFull && random.Next(2) == 0;
                break;
            case < 87 when restarts:
                _restarts++;
                StopAndWait(_coordinator);
                _coordinator = Coordinator(timeoutMs: 30);
                break;
            default:
                Thread.Sleep(random.Next(12));
                break;
        }
    }

    // The guest does nothing meanwhile, as its vCPUs are paused.
    private void Reset()
    {
        _coordinator.Tell(new ResetDevices(), _requester);
        Assert.Equal(new DevicesReset(""), ReceiveUntil<DevicesReset>());
        Plugged();
    }

    private int[] Plugged()
    {
        _coordinator.Tell(new GetPluggedVcpus(), _requester);
        return ReceiveUntil<PluggedVcpus>().Cpus;
    }

    private T ReceiveUntil<T>()
    {
        while (true)
        {
            switch (_requester.ReceiveOne(s_patience))
            {
                case T answer:
                    return answer;
                case HotplugAccepted accepted:
                    _accepted[accepted.Id] = _accepted.GetValueOrDefault(accepted.Id) + 1;
                    break;
                case null:
                    throw new TimeoutException($"no {typeof(T).Name}; pending {string.Join(", ", _journal.State.Pending)}; "
                        + $"{string.Join(", ", _machine.Log.TakeLast(20))}");
            }
        }
    }

    // False: an end that should have been told was not.
    private bool EndedOnce(string id)
    {
        HotplugOutcome[] heard = [.. _outcomes.Where(o => o.Id == id)];
        string story = $"{id}: {string.Join(", ", heard.Select(o => $"{o.Operation} {o.Kind}"))}";
        HotplugOutcome[] ends = [.. heard.Where(o => o.Kind != HotplugOutcomeKind.TimedOut)];
        int accepted = _accepted.GetValueOrDefault(id);
        int plugs = ends.Count(o => o.Operation.Comes());
        Assert.True(plugs <= 1 && ends.Length - plugs <= _unplugs.GetValueOrDefault(id) + 1, story);
        bool complete = ends.Length + heard.Count(o => o.Kind == HotplugOutcomeKind.TimedOut) >= accepted
            && (heard.Length == 0 || plugs == 1);
        for (int i = 0; i < heard.Length; i++)
        {
            // What is heard of the plug comes first, the CPU's end last; a time-out is followed by the end of the same request, or of the
            // same asked again.
            bool mayCome = i <= Array.FindLastIndex(heard, o => o.Operation.Comes());
            Assert.True(heard[i].Operation.Comes() == mayCome, story);
            bool gone = heard[i] is { Operation: HotplugOperation.Unplug, Kind: HotplugOutcomeKind.Done };
            Assert.True(!gone || i == heard.Length - 1, story);
            complete &= heard[i].Kind != HotplugOutcomeKind.TimedOut
                || (i + 1 < heard.Length && heard[i + 1].Operation == heard[i].Operation);
        }

        return complete;
    }

    private void AssertAgreement()
    {
        int[] plugged = Plugged();
        VcpuState[] actors = VcpuStates(_requester);
        foreach (int cpu in s_pluggable)
        {
            bool enabled = _machine.IsEnabled(cpu);
            Assert.Equal(enabled, plugged.Contains(cpu));
            Assert.Equal(enabled, _machine.IsAccessible(cpu));
            Assert.Equal(enabled, actors[cpu] != VcpuState.None);
        }
    }
}
