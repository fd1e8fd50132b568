namespace Vmm.Fleet.Messages;

/// <summary>
/// A message of the fleet. It crosses processes and is kept on disk, so its record holds only primitives and records of them.
/// </summary>
public interface IFleetMessage;

/// <summary>What a VM is made of. Paths are of the machine that it runs on.</summary>
/// <param name="Cpus">CPUs that are enabled when the guest boots.</param>
/// <param name="MaxCpus">Possible CPUs: as many as may be plugged.</param>
/// <param name="MemoryBytes">The size of RAM.</param>
/// <param name="CpuModel">The model, such as max or neoverse-n1.</param>
/// <param name="Kernel">An arm64 Linux image; empty for firmware alone.</param>
/// <param name="Initrd">Empty for none.</param>
/// <param name="Append">The kernel's command line; empty for none.</param>
/// <param name="Firmware">A file such as QEMU_EFI.fd; empty for none.</param>
/// <param name="Disks">Images of disks, qcow2 or raw, by their names' ends: the first is the one that is booted.</param>
/// <param name="Scaling">How the number of CPUs follows the load; null for not at all.</param>
/// <param name="Placement">Where it may be; null for anywhere.</param>
/// <param name="Snapshot">
/// The folder of a snapshot of another VM, from which the VM goes on when it is first started; empty for a boot.
/// </param>
public sealed record VmSpec(
    int Cpus,
    int MaxCpus,
    long MemoryBytes,
    string CpuModel,
    string Kernel,
    string Initrd,
    string Append,
    string Firmware,
    string[] Disks,
    ScalingSpec? Scaling = null,
    PlacementSpec? Placement = null,
    string Snapshot = "")
{
    /// <summary>Why no VM can be made of it: one line; null if one can be.</summary>
    public string? FindProblem() =>
        Cpus < 1 ? "cpus: give at least 1"
        : MaxCpus < Cpus ? $"maxCpus: give at least {Cpus}, the number of cpus"
        : MaxCpus > MostCpus ? $"maxCpus: give at most {MostCpus}"
        : MemoryBytes < 1 << 20 ? "memoryBytes: give at least 1048576, 1 MiB"
        : MemoryBytes > MostMemory ? $"memoryBytes: give at most {MostMemory}, 64 TiB"
        : CpuModel.Length == 0 ? "cpuModel: give one, such as max"
        : Kernel.Length == 0 && Firmware.Length == 0 ? "kernel: give a kernel or a firmware"
        : Array.Exists(Disks, disk => disk == null) ? "disks: one is null"
        : Array.Find([Kernel, Initrd, Firmware, Snapshot, .. Disks], p => p.Length > 0 && !Path.IsPathRooted(p)) is { } path
            ? $"'{path}' is not a whole path: give one that begins with /"
        : Snapshot.Length > 0 && !FleetNames.IsSnapshot(SnapshotTag) ? $"snapshot: '{Snapshot}' is not the folder of one"
        : Scaling?.FindProblem(MaxCpus) ?? Placement?.FindProblem();

    /// <summary>The name of <see cref="Snapshot"/>; empty without one.</summary>
    internal string SnapshotTag => Path.GetFileName(Path.TrimEndingDirectorySeparator(Snapshot));

    // Sums over all VMs of a fleet have room in 64 bits.
    private const long MostMemory = 1L << 46;

    /// <summary>The most CPUs of a machine: what the GIC of QEMU's virt has room for.</summary>
    public const int MostCpus = 512;
}

/// <summary>Names of VMs, snapshots and requests.</summary>
public static class FleetNames
{
    /// <summary>The longest name of a VM: that of a host in DNS.</summary>
    public const int Longest = 63;

    /// <summary>What <see cref="IsVm"/> asks for, for people.</summary>
    public const string VmRule = "1 to 63 lower-case letters, digits and '-', the first one no '-'";

    /// <summary>Whether it can be the name of a VM, which is the name of a folder, too.</summary>
    public static bool IsVm(string name) => name.Length is > 0 and <= Longest && name[0] != '-'
        && name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-');

    /// <summary>What <see cref="IsOwner"/> asks for, for people.</summary>
    public const string OwnerRule = "1 to 64 letters, digits, '-', '_', '.' and '@', the first a letter or digit";

    /// <summary>Whether it can be the name of an owner.</summary>
    public static bool IsOwner(string name) => name.Length is > 0 and <= 64 && char.IsAsciiLetterOrDigit(name[0])
        && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or '@');

    /// <summary>What <see cref="IsRequest"/> asks for, for people.</summary>
    public const string RequestRule = "1 to 64 letters, digits, '-' and '_'";

    /// <summary>Whether it can be the id of a request from outside.</summary>
    public static bool IsRequest(string id) =>
        id.Length is > 0 and <= 64 && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');

    /// <summary>Whether it can be the id of a request to an agent: one from outside, or a part of such a one behind a dot.</summary>
    public static bool IsAgentRequest(string id) => id.Length <= 80 && id.Split('.') is { Length: <= 2 } parts && parts.All(IsRequest);

    /// <summary>Whether it can be the name of a snapshot.</summary>
    public static bool IsSnapshot(string tag) => tag.Length is > 0 and <= 128 && char.IsAsciiLetterOrDigit(tag[0])
        && tag.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');
}
