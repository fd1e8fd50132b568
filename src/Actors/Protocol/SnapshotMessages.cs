namespace Vmm.Actors.Protocol;

/// <summary>
/// Save the VM: it is held until state and RAM are written, and goes on as before. Answer: <see cref="SnapshotSaved"/> when the snapshot
/// outlives a kill and a loss of power, or <see cref="VmCommandRejected"/>, and then nothing has changed.
/// </summary>
/// <param name="Tag">Its name.</param>
/// <param name="Replace">It may take the place of one of that name.</param>
/// <param name="Compress">RAM is compressed: a smaller file, which a load has to read as a whole.</param>
public sealed record SaveSnapshot(string Tag, bool Replace, bool Compress) : IProtocolMessage;

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

/// <summary>The snapshots whose manifests are right, by name, in parallel arrays.</summary>
/// <param name="Bytes">What each takes on the disk.</param>
/// <param name="SavedAt">The host's time, in seconds since 1970.</param>
/// <param name="GuestMilliseconds">The guest's time since power-on.</param>
public sealed record SnapshotList(string[] Tags, long[] Bytes, long[] SavedAt, long[] GuestMilliseconds) : IProtocolMessage;
