namespace Vmm.Emulation.Boards;

/// <summary>
/// How the possible CPUs are arranged: each count is per parent. CPU indexes run through threads first, then cores, clusters
/// and sockets, as QEMU's <c>virt</c> numbers them.
/// </summary>
public sealed record CpuTopology(int Sockets, int Clusters, int Cores, int Threads)
{
    /// <summary>All possible CPUs.</summary>
    public int Count => Sockets * Clusters * Cores * Threads;

    /// <summary>The position of a CPU at each level, each counted from 0 in its parent.</summary>
    public CpuLocation Locate(CpuIndex cpu)
    {
        int index = cpu.Value;
        return new CpuLocation(
            index / (Threads * Cores * Clusters),
            index / (Threads * Cores) % Clusters,
            index / Threads % Cores,
            index % Threads);
    }

    /// <summary>A CPU in the words of QEMU's messages: index, then socket, cluster, core and thread, as in <c>id4=0:0:4:0</c>.</summary>
    public string Describe(CpuIndex cpu)
    {
        CpuLocation at = Locate(cpu);
        return $"id{cpu.Value}={at.Socket}:{at.Cluster}:{at.Core}:{at.Thread}";
    }

    /// <summary>QEMU's names for the members of a position.</summary>
    public static IReadOnlyList<string> LocationMembers { get; } = ["socket-id", "cluster-id", "core-id", "thread-id"];

    /// <summary>
    /// Finds the CPU at a position. Each level that has more than one value must be given. With one CPU for each core, <c>core-id</c> alone
    /// may number all CPUs.
    /// </summary>
    /// <param name="cpu">The index of the CPU; -1 if there is none.</param>
    /// <returns>The reason why there is none, in QEMU's words; null if there is one.</returns>
    public string? Find(IReadOnlyDictionary<string, int> given, out int cpu)
    {
        cpu = -1;
        int[] counts = [Sockets, Clusters, Cores, Threads];
        int[] location = new int[counts.Length];
        for (int i = 0; i < counts.Length; i++)
        {
            string name = LocationMembers[i];
            if (given.TryGetValue(name, out int value))
            {
                if (value < 0 || value >= counts[i])
                {
                    return $"Invalid {name} {value} specified, correct range 0:{counts[i] - 1}";
                }

                location[i] = value;
            }
            else if (counts[i] > 1)
            {
                return $"{name} is not set";
            }
        }

        cpu = IndexOf(new CpuLocation(location[0], location[1], location[2], location[3])).Value;
        return null;
    }

    /// <summary>The CPU at a position; the reverse of <see cref="Locate"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The position is outside the topology.</exception>
    public CpuIndex IndexOf(CpuLocation location)
    {
        if ((uint)location.Socket >= (uint)Sockets || (uint)location.Cluster >= (uint)Clusters
            || (uint)location.Core >= (uint)Cores || (uint)location.Thread >= (uint)Threads)
        {
            throw new ArgumentOutOfRangeException(nameof(location), $"{location} is outside {this}");
        }

        return new CpuIndex((((((location.Socket * Clusters) + location.Cluster) * Cores) + location.Core) * Threads) + location.Thread);
    }
}

/// <summary>The position of a CPU: <c>socket-id</c>, <c>cluster-id</c>, <c>core-id</c> and <c>thread-id</c> of QEMU.</summary>
public readonly record struct CpuLocation(int Socket, int Cluster, int Core, int Thread);
