namespace Vmm.Actors.Hotplug;

/// <summary>
/// The last _OST of each possible CPU (ACPI 6.5, section 6.3.5); zeros before the first one. The coordinator's actor owns it.
/// </summary>
/// <param name="cpus">The number of possible CPUs.</param>
public sealed class LastOst(int cpus)
{
    private readonly int[] _sources = new int[cpus];
    private readonly int[] _statuses = new int[cpus];

    /// <summary>A copy of the events that the guest answered, by CPU.</summary>
    public int[] Sources => [.. _sources];

    /// <summary>A copy of the guest's answers, by CPU.</summary>
    public int[] Statuses => [.. _statuses];

    public void Note(int cpu, int source, int status) => (_sources[cpu], _statuses[cpu]) = (source, status);

    public void Clear()
    {
        Array.Clear(_sources);
        Array.Clear(_statuses);
    }
}
