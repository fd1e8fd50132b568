namespace Vmm.Emulation.State;

/// <summary>
/// A part of the machine whose state outlives a pause: a vCPU, a device core, the GIC, or what an actor holds. Saved and loaded only while
/// no vCPU runs. RAM is no unit.
/// </summary>
public interface IStateUnit
{
    /// <summary>
    /// The name that matches the unit in an archive with the one in this machine; unique in a machine, and never changed.
    /// </summary>
    string Id { get; }

    /// <summary>
    /// The version of the fields that <see cref="Save"/> writes, from 1. It grows by one with each change of them, and <see cref="Load"/>
    /// reads all versions up to it.
    /// </summary>
    int SchemaVersion => 1;

    /// <summary>Why the unit can neither be saved nor moved now, as one line; null if it can. Any thread.</summary>
    string? MoveBlocker => null;

    /// <summary>Writes every field of the unit.</summary>
    void Save(StateWriter writer);

    /// <summary>
    /// Reads every field of the version that <see cref="StateReader.Version"/> tells, and drives the unit's outputs accordingly.
    /// </summary>
    /// <exception cref="StateException">A field is missing, of another length, or holds what cannot be.</exception>
    void Load(StateReader reader);
}

/// <summary>An archive does not fit this machine or is damaged; the message says which unit and field.</summary>
public sealed class StateException : Exception
{
    public StateException(string message)
        : base(message)
    {
    }

    public StateException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    public StateException()
    {
    }
}
