using Vmm.Actors.Protocol;

namespace Vmm.Actors.Hotplug;

/// <summary>The events of a machine's CPUs, kept for whoever goes on with the machine. One thread at a time.</summary>
public interface IHotplugJournal
{
    /// <summary>What the events say, all of them.</summary>
    HotplugState State { get; }

    /// <summary>Adds events, all or none of them. When it returns they are kept.</summary>
    /// <exception cref="JournalException">They are not kept.</exception>
    void Append(IReadOnlyList<IHotplugEvent> events);
}

/// <summary>A journal cannot be read or written: one line that says why.</summary>
public sealed class JournalException(string message, Exception? cause = null) : Exception(message, cause);

/// <summary>The journal of a machine that ends with the process: there is nothing to keep but the state.</summary>
public sealed class MemoryJournal : IHotplugJournal
{
    public HotplugState State { get; private set; } = HotplugState.Empty;

    public void Append(IReadOnlyList<IHotplugEvent> events) => State = State.Apply(events);
}
