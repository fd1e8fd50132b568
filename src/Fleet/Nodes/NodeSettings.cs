using Vmm.Fleet.Fencing;
using Vmm.Fleet.Isolation;

namespace Vmm.Fleet.Nodes;

/// <summary>How the VMs of one machine are kept.</summary>
/// <param name="Folder">The node's folder; the VMs are below it, in <c>vms</c>.</param>
/// <param name="Program">The path of <c>vmm</c>, and its first arguments.</param>
public sealed record NodeSettings(string Folder, IReadOnlyList<string> Program)
{
    /// <summary>The name of the node.</summary>
    public string Name { get; init; } = "";

    /// <summary>What its VMs together may have of the machine's memory: all that this process may have, without.</summary>
    public long MemoryBytes { get; init; } = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    /// <summary>What placement may ask for: each is a key, <c>=</c> and a value.</summary>
    public IReadOnlyList<string> Labels { get; init; } = [];

    /// <summary>Whether VMs reach no files but their own.</summary>
    public IsolationUse Landlock { get; init; }

    /// <summary>Whether VMs have limits by cgroup.</summary>
    public IsolationUse Cgroup { get; init; }

    /// <summary>Their cgroups, once it is known that VMs can have them.</summary>
    internal NodeCgroups? Cgroups { get; init; }

    /// <summary>The user of the processes of VMs, a name or UID:GID; null for the node's own.</summary>
    public string? VmUser { get; init; }

    /// <summary>That user, once it is known that VMs can run as it.</summary>
    internal HostUser? User { get; init; }

    /// <summary>Whether the node is drained. It is kept as a file.</summary>
    /// <exception cref="IOException">It cannot be kept.</exception>
    internal bool IsDrained
    {
        get => File.Exists(DrainedFile);
        set
        {
            if (value)
            {
                File.WriteAllText(DrainedFile, "");
            }
            else
            {
                File.Delete(DrainedFile);
            }
        }
    }

    private string DrainedFile => Path.Combine(Folder, "drained");

    /// <summary>How long a process may take from its start to its answer.</summary>
    public TimeSpan StartLimit { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>Whose turn it is to start a process.</summary>
    internal StartTurns Starts { get; } = new(Math.Max(Environment.ProcessorCount, 2));

    /// <summary>How long a process may take to end when it is told to, before it is killed.</summary>
    public TimeSpan QuitLimit { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Until when VMs may run; null for a node alone, whose VMs run as long as they like.</summary>
    internal NodeLease? Lease { get; init; }

    /// <summary>How VMs move between nodes; null for a node alone.</summary>
    internal MigrationLink? Migration { get; init; }

    /// <summary>The folder of all VMs.</summary>
    public string Vms => Path.Combine(Folder, "vms");

    /// <summary>The folder of a VM.</summary>
    internal VmFolder FolderOf(string vm) => new(vm, Path.Combine(Vms, vm)) { Cgroup = Cgroups?.Of(vm) };
}
