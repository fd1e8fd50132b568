using Vmm.Actors.Journals;
using Vmm.Actors.Protocol;

namespace Vmm.Actors.Hotplug;

/// <summary>The events of a machine's CPUs, kept for the process that goes on with the machine. One thread at a time uses it.</summary>
public interface IHotplugJournal
{
    /// <summary>The state after all events of the journal.</summary>
    HotplugState State { get; }

    /// <summary>Adds events: all of them or none. They are kept when the method returns.</summary>
    /// <exception cref="JournalException">Nothing could be written.</exception>
    void Append(IReadOnlyList<IHotplugEvent> events);
}

/// <summary>The journal of a machine that ends with the process. Only the state is kept, in memory.</summary>
public sealed class MemoryJournal : IHotplugJournal
{
    public HotplugState State { get; private set; } = HotplugState.Empty;

    public void Append(IReadOnlyList<IHotplugEvent> events) => State = State.Apply(events);
}
