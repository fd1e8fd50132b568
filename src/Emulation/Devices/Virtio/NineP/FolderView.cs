using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Block;
using static Vmm.Emulation.Devices.Virtio.NineP.NinePSpec;

namespace Vmm.Emulation.Devices.Virtio.NineP;

/// <summary>What the files of a shared folder are to the guest, by its security model. Any thread.</summary>
internal sealed class FolderView(SharedFolder folder)
{
    /// <summary>The user or group that leaves a file to whom it belongs.</summary>
    public const uint SamePerson = uint.MaxValue;

    // Permissions of a symbolic link, and O_WRONLY.
    private const uint AllMayAll = 0x1FF;
    private const int WriteOnly = 1;

    /// <summary>What a file is to the guest.</summary>
    public Errno Facts(SafeFileHandle file, out FileFacts facts)
    {
        Errno error = FolderCalls.Facts(file, out facts);
        if (error == Errno.None && folder.IsMapped)
        {
            MappedFacts.Apply(file, ref facts);
        }

        return error;
    }

    /// <summary>Makes a new file its user's, with the mode that was asked for, whatever mask this process has.</summary>
    public Errno GiveTo(SafeFileHandle file, uint? mode, uint user, uint group, (uint Major, uint Minor)? device = null)
    {
        if (folder.IsMapped)
        {
            return MappedFacts.Set(file, user, group, mode, device);
        }

        Errno error = FolderCalls.ChangeOwner(file, user, group);
        error = folder.Security == FolderSecurity.Passthrough ? error : Errno.None;
        return error == Errno.None && mode is { } bits ? FolderCalls.ChangeMode(file, bits) : error;
    }

    /// <summary>Makes a symbolic link.</summary>
    /// <param name="mode">With the type, to be noted of it; null where there is nothing to note.</param>
    public Errno MakeSymbolicLink(ReadOnlySpan<byte> target, SafeFileHandle parent, ReadOnlySpan<byte> name, out uint? mode)
    {
        mode = folder.IsMapped ? SymbolicLink | AllMayAll : null;
        if (!folder.IsMapped)
        {
            return FolderCalls.MakeSymbolicLink(target, parent, name);
        }

        Errno error = FolderCalls.Create(parent, name, WriteOnly, folder.FileMode, out SafeFileHandle file);
        using (file)
        {
            return error == Errno.None ? FolderCalls.Write(file, 0, target) : error;
        }
    }

    /// <summary>Reads the target of a symbolic link.</summary>
    public Errno ReadLink(SafeFileHandle link, Span<byte> target, out int length)
    {
        length = 0;
        Errno error = Facts(link, out FileFacts mapped);
        FileFacts real = default;
        error = error == Errno.None ? FolderCalls.Facts(link, out real) : error;
        if (error != Errno.None || mapped.Type != SymbolicLink || real.Type == SymbolicLink)
        {
            return error == Errno.None ? FolderCalls.ReadLink(link, target, out length) : error;
        }

        error = FolderCalls.Reopen(link, FolderCalls.ReadOnly, isFolder: false, out SafeFileHandle opened);
        using (opened)
        {
            return error == Errno.None ? FolderCalls.Read(opened, 0, target, out length) : error;
        }
    }

    /// <summary>Gives a file away; <see cref="SamePerson"/> changes nothing.</summary>
    public Errno ChangeOwner(SafeFileHandle file, uint user, uint group) =>
        folder.IsMapped ? MappedFacts.Set(file, user, group, null, null) : FolderCalls.ChangeOwner(file, user, group);

    public Errno ChangeMode(SafeFileHandle file, uint mode)
    {
        if (!folder.IsMapped)
        {
            return FolderCalls.ChangeMode(file, mode);
        }

        Errno error = Facts(file, out FileFacts facts);
        return error == Errno.None ? MappedFacts.Set(file, SamePerson, SamePerson, facts.Type | (mode & Permissions), null) : error;
    }
}
