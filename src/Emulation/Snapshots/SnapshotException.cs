namespace Vmm.Emulation.Snapshots;

/// <summary>What is wrong with a snapshot, or with what is asked of it, as one line.</summary>
public sealed class SnapshotException(SnapshotFault fault, string message, Exception? cause = null) : Exception(message, cause)
{
    public SnapshotFault Fault { get; } = fault;
}

/// <summary>For programs: what kind of thing is wrong.</summary>
public enum SnapshotFault
{
    /// <summary>There is none of that name.</summary>
    NotFound,

    /// <summary>There is one of that name.</summary>
    Exists,

    /// <summary>The name is none that a snapshot can have.</summary>
    BadName,

    /// <summary>It is damaged, cut, or no snapshot at all.</summary>
    Damaged,

    /// <summary>It is another machine's, or of a later version of the format.</summary>
    Mismatch,

    /// <summary>It is the parent of another.</summary>
    HasChildren,

    /// <summary>The host cannot read or write it.</summary>
    Host,
}
