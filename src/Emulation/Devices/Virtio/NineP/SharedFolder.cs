using Microsoft.Win32.SafeHandles;

namespace Vmm.Emulation.Devices.Virtio.NineP;

/// <summary>What a shared folder is, as its user wrote it.</summary>
/// <param name="Path">The folder.</param>
/// <param name="Root">A handle of it; the maker disposes it.</param>
/// <param name="IsReadOnly">Whether nothing in it is changed.</param>
/// <param name="Security">Whose files are.</param>
public sealed record SharedFolder(string Path, SafeFileHandle Root, bool IsReadOnly, FolderSecurity Security)
{
    /// <summary>Permissions on the host of new files of a mapped folder: 600 in octal, as in QEMU.</summary>
    public uint FileMode { get; init; } = 0x180;

    /// <summary>Permissions on the host of new folders of a mapped folder: 700 in octal, as in QEMU.</summary>
    public uint FolderMode { get; init; } = 0x1C0;

    /// <summary>Whether the guest may mount it: while it has it, it can be neither saved nor moved (<c>-only-migratable</c>).</summary>
    public bool MayMount { get; init; } = true;

    internal bool IsMapped => Security == FolderSecurity.MappedXattr;
}

/// <summary>Whose the files of a shared folder are (<c>security_model=</c>).</summary>
public enum FolderSecurity
{
    /// <summary>Those of the client's users, as far as this process may give them away.</summary>
    None,

    /// <summary>Those of the client's users; a file that cannot be given to its user fails.</summary>
    Passthrough,

    /// <summary>This process's on the host; what they are to the guest is noted beside them (<see cref="MappedFacts"/>).</summary>
    MappedXattr,
}
