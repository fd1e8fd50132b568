using Vmm.Actors.Journals;
using Vmm.Actors.Protocol;

namespace Vmm.Actors.Hotplug;

/// <summary>The journal of a machine's CPUs in a file (<see cref="EventFile"/>).</summary>
public sealed class JournalFile : IHotplugJournal, IDisposable
{
    private readonly EventFile _events;

    private JournalFile(string path) => _events = EventFile.Open(path, "hotplug", "the machine starts as its options say", happened =>
    {
        State = happened is IHotplugEvent { Cpu: >= 0 } e ? State.Apply(e) : State;
        return happened is IHotplugEvent { Cpu: >= 0 };
    });

    public HotplugState State { get; private set; } = HotplugState.Empty;

    /// <summary>Opens the journal, or makes a new one, reads all of it, and tries a write.</summary>
    /// <exception cref="JournalException">The file is no journal, is damaged, or cannot be written.</exception>
    public static JournalFile Open(string path) => new(path);

    public void Append(IReadOnlyList<IHotplugEvent> events)
    {
        HotplugState state = State.Apply(events);
        _events.Append(events);
        State = state;
    }

    public void Dispose() => _events.Dispose();
}
