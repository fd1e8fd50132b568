namespace Vmm.Emulation.Snapshot;

/// <summary>
/// A part of the machine that can be saved: a device core, the GIC, a vCPU. Saved and loaded only while no vCPU runs; RAM is not a unit but
/// a file of its own.
/// </summary>
public interface ISnapshotUnit
{
    /// <summary>The name that matches the unit in a saved machine with the one in this; unique in a machine, and never changed.</summary>
    string Name { get; }

    /// <summary>Writes every field of the unit.</summary>
    void Save(SnapshotWriter writer);

    /// <summary>Reads every field that <see cref="Save"/> wrote and drives the unit's outputs accordingly.</summary>
    /// <exception cref="SnapshotException">A field is missing, of another length, or holds what cannot be.</exception>
    void Load(SnapshotReader reader);
}

/// <summary>A snapshot does not fit this machine or is damaged; the message says which unit and field.</summary>
public sealed class SnapshotException : Exception
{
    public SnapshotException(string message)
        : base(message)
    {
    }

    public SnapshotException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    public SnapshotException()
    {
    }
}
