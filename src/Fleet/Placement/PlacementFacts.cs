namespace Vmm.Fleet.Placement;

/// <summary>A node, as placement sees it.</summary>
/// <param name="MemoryBytes">What its VMs together may have of the host's memory.</param>
/// <param name="Cores">Cores of the host.</param>
/// <param name="Labels">What a VM may ask for, such as zone=b.</param>
/// <param name="TakesVms">False: it is drained, or not heard of. No VM goes there, and those there are to leave.</param>
public sealed record NodeFacts(string Name, long MemoryBytes, int Cores, IReadOnlyDictionary<string, string> Labels, bool TakesVms = true);

/// <summary>A VM, as placement sees it.</summary>
/// <param name="MemoryBytes">What it has of the host's memory.</param>
/// <param name="Cpus">How many CPUs it has enabled.</param>
/// <param name="Labels">What its node must have.</param>
/// <param name="AntiAffinity">VMs of the same group are never on one node; null for none.</param>
/// <param name="MovedAt">When it was last moved or placed; it is not rebalanced soon after.</param>
/// <param name="IsMovable">Whether it can migrate. An example of one that cannot is a VM with a shared folder.</param>
/// <param name="IsRunning">One that does not run moves only from a node that is drained.</param>
public sealed record VmFacts(
    string Name,
    long MemoryBytes,
    int Cpus,
    IReadOnlyDictionary<string, string> Labels,
    string? AntiAffinity = null,
    DateTimeOffset? MovedAt = null,
    bool IsMovable = true,
    bool IsRunning = true);

/// <summary>A live migration that is to be made.</summary>
public readonly record struct PlannedMove(string Vm, string From, string To);

/// <summary>How nodes are filled and evened out.</summary>
public sealed record PlacementOptions
{
    /// <summary>How many enabled CPUs of VMs a core of the host may have.</summary>
    public double CpusPerCore { get; init; } = 4;

    /// <summary>Nodes whose loads, 0 to 1, are no further apart are left as they are.</summary>
    public double Tolerance { get; init; } = 0.15;

    /// <summary>A move brings the load of its source and that of its target together by at least so much.</summary>
    public double LeastGain { get; init; } = 0.03;

    /// <summary>How many moves there may be at one time.</summary>
    public int MostMoves { get; init; } = 2;

    /// <summary>How long a VM that was moved or placed is left alone, but for a node that is drained.</summary>
    public TimeSpan MoveCoolDown { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>What is wrong with the options, in one line; null for nothing.</summary>
    public string? Refuse() =>
        !(CpusPerCore > 0) ? FormattableString.Invariant($"{CpusPerCore} CPUs per core are not possible: more than 0 are expected")
        : !(LeastGain > 0) ? "the least gain of a move is to be more than 0: VMs would move for nothing"
        : !(Tolerance >= 0) ? "the tolerance between nodes is not negative"
        : MostMoves < 1 ? $"{MostMoves} moves at one time are not possible: at least 1 is expected"
        : MoveCoolDown < TimeSpan.Zero ? "a cool-down is not negative" : null;
}
