namespace Vmm.Actors.Protocol;

/// <summary>
/// Save the VM: it runs while most of RAM is written, is held for the state and the rest, and goes on as before. Answer:
/// <see cref="SnapshotSaved"/> when the snapshot outlives a kill and a loss of power, or <see cref="VmCommandRejected"/>, and then nothing
/// has changed.
/// </summary>
/// <param name="Tag">Its name.</param>
/// <param name="Replace">It may take the place of one of that name.</param>
/// <param name="Compress">RAM is compressed: a smaller file, which a load has to read as a whole.</param>
/// <param name="Parent">The snapshot that has the parts of RAM which are not different, and keeps them; empty for none.</param>
public sealed record SaveSnapshot(string Tag, bool Replace, bool Compress, string Parent = "") : IProtocolMessage;

public sealed record SnapshotSaved(string Tag) : IProtocolMessage;

/// <summary>
/// Make the VM what was saved; it runs or not as before. Answer: <see cref="SnapshotLoaded"/>, or <see cref="VmCommandRejected"/>: the VM
/// has then not changed, or is in <see cref="VmRunState.InternalError"/> and says so.
/// </summary>
public sealed record LoadSnapshot(string Tag) : IProtocolMessage;

public sealed record SnapshotLoaded(string Tag) : IProtocolMessage;

/// <summary>Answer: <see cref="SnapshotDeleted"/> or <see cref="VmCommandRejected"/>.</summary>
public sealed record DeleteSnapshot(string Tag) : IProtocolMessage;

public sealed record SnapshotDeleted(string Tag) : IProtocolMessage;

/// <summary>Query. Answer: <see cref="SnapshotList"/>.</summary>
public sealed record GetSnapshots : IProtocolMessage;

/// <summary>
/// The snapshots whose manifests are right, by name, and those that are in the image of a disk alone, in parallel arrays.
/// </summary>
/// <param name="Places">
/// Empty for a snapshot that can be loaded; else where it is alone: a disk, or <see cref="Folder"/> when disks do not have theirs.
/// </param>
/// <param name="Ids">Those of snapshots in images; else empty.</param>
/// <param name="Bytes">What each takes on the disk; of an image the machine's state alone.</param>
/// <param name="SavedAt">The host's time, in seconds since 1970.</param>
/// <param name="GuestMilliseconds">The guest's time since power-on.</param>
public sealed record SnapshotList(
    string[] Places, string[] Ids, string[] Tags, long[] Bytes, long[] SavedAt, long[] GuestMilliseconds) : IProtocolMessage
{
    /// <summary>The place of what is in the state folder, as monitors name it.</summary>
    public const string Folder = "snapshots";
}
