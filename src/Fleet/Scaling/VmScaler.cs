using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Fleet.Ledger;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Records;

namespace Vmm.Fleet.Scaling;

/// <summary>
/// Looks at the times of one VM's CPUs: it has them counted in the account of the VM's owner, and decides by the VM's policy. It is a child
/// of the VM's record, which carries out each <see cref="ScalingDecision"/> that it is told. Readings are totals, and those of processes
/// that have ended are there until they are kept, so what is lost on the way comes again.
/// </summary>
internal sealed class VmScaler : MessageActor, IWithTimers
{
    // How often a VM with a policy is looked at, and one without. Readings are counted with the second.
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_count = TimeSpan.FromSeconds(10);

    private const string DrainId = "drain";

    private readonly string _vm;
    private readonly INodes _nodes;
    private readonly ICanTell _accounts;
    private Follow? _follow;
    private Scaler? _scaler;

    // The last reading, and the last one that was sent to the account.
    private VmMeter? _last;
    private VmMeter? _counted;

    // The meters of processes that have ended, whose readings the account does not have yet.
    private string[] _ended = [];

    // Null until the account has answered.
    private int? _allowance;
    private ScalingReason _published;
    private bool _drains;
    private bool _isReleased;

    public VmScaler(string vm, INodes nodes, ICanTell accounts)
    {
        (_vm, _nodes, _accounts) = (vm, nodes, accounts);
        Receive<Follow>(Start);
        Receive<Look>(_ => Ask());
        Receive<VmTimes>(See);
        Receive<MeterCounted>(Note);
        Receive<CpuEnded>(ended => _scaler?.Ended(ended.Cpu, ended.Outcome, DateTimeOffset.UtcNow));
        Receive<Drain>(_ =>
        {
            (_drains, _scaler) = (true, null);
            Timers.StartPeriodicTimer(nameof(Look), new Look(), TimeSpan.Zero, s_look);
        });
        Receive<CpusAnswered>(answer => _isReleased |= answer.Id == DrainId);
    }

    /// <summary>What the record says.</summary>
    internal sealed record Follow(string Owner, string Node, ScalingSpec? Scaling);

    /// <summary>The request for a CPU of a decision has ended.</summary>
    internal sealed record CpuEnded(int Cpu, ScalingOutcome Outcome);

    /// <summary>
    /// The VM has ended for good. The parent gets <see cref="Drained"/> when all that it has used is in the account, and none of its CPUs.
    /// </summary>
    internal sealed record Drain;

    internal sealed record Drained;

    private sealed record Look;

    public ITimerScheduler Timers { get; set; } = null!;

    private void Start(Follow follow)
    {
        if (_scaler == null || follow.Scaling != _follow?.Scaling)
        {
            _scaler = follow.Scaling == null || _drains ? null : new Scaler(follow.Scaling.ToPolicy());
        }

        if (_follow == null || follow.Scaling != _follow.Scaling)
        {
            Timers.StartPeriodicTimer(nameof(Look), new Look(), TimeSpan.Zero, follow.Scaling == null ? s_count : s_look);
        }

        _follow = follow;
    }

    private void Ask()
    {
        if (_follow is { } follow)
        {
            _nodes.Find(follow.Node)?.Tell(new GetVmTimes(_vm), Self);
            if (_drains && !_isReleased)
            {
                _accounts.Tell(new AskCpus(follow.Owner, _vm, DrainId, 0), Self);
            }
        }
    }

    private void See(VmTimes times)
    {
        _ended = Array.ConvertAll(times.Ended, m => m.Meter);
        Array.ForEach(times.Ended, Count);
        if (_drains && _isReleased && times is { Ended: [], Running: [] })
        {
            Context.Parent.Tell(new Drained());
        }

        Context.System.EventStream.Publish(times);
        if (times.Running is not [var now])
        {
            return;
        }

        if (_counted?.Meter != now.Meter || now.At - _counted.At >= s_count.TotalMilliseconds)
        {
            _counted = now;
            Count(now);
        }

        VmMeter? last = _last;
        _last = now;
        if (_scaler != null && _allowance is { } allowance && last?.Meter == now.Meter && now.RunNs > last.RunNs)
        {
            double ran = now.RunNs - last.RunNs;
            Decide(_scaler.Observe(new LoadSample(
                DateTimeOffset.UtcNow, TimeSpan.FromSeconds(ran / 1e9), (now.BusyNs.Sum() - last.BusyNs.Sum()) / ran,
                [.. times.Enabled.Select((enabled, cpu) => new ScalableCpu(cpu, enabled, cpu > 0))], allowance)));
        }
    }

    private void Decide(ScalingDecision decision)
    {
        bool acts = decision.Action != ScalingAction.Hold;
        if (acts)
        {
            Context.Parent.Tell(decision);
        }

        // A load that asks for what it does not get is told of once.
        bool isLacking = decision.Reason is ScalingReason.QuotaReached or ScalingReason.MaximumReached or ScalingReason.Refused
            or ScalingReason.CoolingDown;
        if (acts || (isLacking && decision.Reason != _published))
        {
            _published = decision.Reason;
            var told = new VmScaled(
                _vm, DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(), decision.Action, decision.Reason, [.. decision.Cpus], decision.Load,
                decision.Enabled, decision.InWords());
            Context.Parent.Tell(told);
            Context.System.EventStream.Publish(told);
        }
    }

    private void Count(VmMeter meter)
    {
        CpuUsage usage = CpuUsage.Of(meter.RunNs, meter.BusyNs, meter.EnabledNs);
        _accounts.Tell(
            new CountMeter(_follow!.Owner, _vm, meter.Meter, meter.At, usage.Busy, usage.Idle, usage.Standby), Self);
    }

    private void Note(MeterCounted counted)
    {
        _allowance = counted.Allowance;
        if (_ended.Contains(counted.Meter))
        {
            _nodes.Find(_follow!.Node)?.Tell(new ForgetMeter(_vm, counted.Meter), Self);
            if (_drains)
            {
                Ask();
            }
        }
    }
}
