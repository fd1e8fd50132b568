using System.Diagnostics;
using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Migration;

namespace Vmm.Actors.Migration;

/// <summary>To the coordinator: the migration has another status.</summary>
internal sealed record MigrationAdvanced(MigrationStatus Status);

/// <summary>To the coordinator, last. The sender answers queries until it is stopped.</summary>
/// <param name="Info">How the migration ended; null for one that has not begun.</param>
internal sealed record MigrationOver(MigrationInfo? Info);

/// <summary>How far a migration is: its status, and the figures of its passes. Its actor owns it.</summary>
/// <param name="coordinator">Hears of each status.</param>
/// <param name="ramBytes">RAM.</param>
internal sealed class MigrationProgress(IActorRef coordinator, bool incoming, long ramBytes)
{
    private readonly long _began = Stopwatch.GetTimestamp();
    private readonly List<long> _passPages = [];
    private readonly List<long> _passMilliseconds = [];
    private TimeSpan? _setup;
    private TimeSpan? _total;
    private string _problem = "";
    private long _passBegan;
    private long _passStart;
    private long _dirtyPages;

    public MigrationStatus Status { get; private set; } = MigrationStatus.None;

    public int ThrottlePercent { get; set; }

    /// <summary>How long the guest stood still; null before it has.</summary>
    public TimeSpan? Downtime { get; set; }

    /// <summary>Where a receiver listens.</summary>
    public string Address { get; set; } = "";

    public void Enter(MigrationStatus status, string problem = "")
    {
        if (status != Status)
        {
            Status = status;
            coordinator.Tell(new MigrationAdvanced(status));
        }

        _problem = problem;
        if (status is MigrationStatus.Completed or MigrationStatus.Failed or MigrationStatus.Cancelled)
        {
            _total ??= Stopwatch.GetElapsedTime(_began);
        }
    }

    public void EndSetup() => _setup = Stopwatch.GetElapsedTime(_began);

    public void BeginPass(long pass, RamSource ram)
    {
        if (pass > 1)
        {
            EndPass(ram);
        }

        _passBegan = Stopwatch.GetTimestamp();
        _passStart = ram.NormalPages;
        _passPages.Add(0);
        _passMilliseconds.Add(0);
    }

    public void EndPasses(RamSource ram) => EndPass(ram);

    private void EndPass(RamSource ram)
    {
        _passPages[^1] = ram.NormalPages - _passStart;
        _passMilliseconds[^1] = (long)Stopwatch.GetElapsedTime(_passBegan).TotalMilliseconds;
        _dirtyPages = _passPages.Count > 1 ? _passPages[^1] * 1000 / Math.Max(_passMilliseconds[^2], 1) : 0;
    }

    /// <param name="bytes">That were sent or received.</param>
    /// <param name="remaining">Pages of the pass under way.</param>
    /// <param name="expectedMilliseconds">How long the guest would stand still.</param>
    /// <param name="requests">Pages that the receiver asked for.</param>
    public MigrationInfo Describe(
        long bytes, long remaining, long zeroPages, long normalPages, long bytesPerSecond, long expectedMilliseconds,
        long requests) =>
        new(
            Status, incoming, _problem, Address,
            (long)(_total ?? Stopwatch.GetElapsedTime(_began)).TotalMilliseconds,
            (long)(_setup ?? TimeSpan.Zero).TotalMilliseconds,
            (long)(Downtime?.TotalMilliseconds ?? expectedMilliseconds),
            bytes, remaining * GuestMemory.PageSize, ramBytes, zeroPages, normalPages, _passPages.Count, _dirtyPages, bytesPerSecond,
            requests, ThrottlePercent, [.. _passPages], [.. _passMilliseconds]);
}
