namespace Vmm.Fleet.Nodes;

/// <summary>How the VMs of one machine are kept.</summary>
/// <param name="Folder">The node's folder; the VMs are below it, in <c>vms</c>.</param>
/// <param name="Program">The path of <c>vmm</c>, and its first arguments.</param>
public sealed record NodeSettings(string Folder, IReadOnlyList<string> Program)
{
    /// <summary>How long a process may take from its start to its answer.</summary>
    public TimeSpan StartLimit { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>How long a process may take to end when it is told to, before it is killed.</summary>
    public TimeSpan QuitLimit { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>The folder of all VMs.</summary>
    public string Vms => Path.Combine(Folder, "vms");

    /// <summary>The folder of a VM.</summary>
    internal VmFolder FolderOf(string vm) => new(vm, Path.Combine(Vms, vm));
}
