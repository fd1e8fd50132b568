using Vmm.Actors.Journals;
using Vmm.Actors.Protocol;

namespace Vmm.Actors.Migration;

/// <summary>Who owns the guest, kept for the process that goes on with the machine's state. One thread at a time uses it.</summary>
public interface IMigrationJournal
{
    /// <summary>The last event; null before the first.</summary>
    IMigrationEvent? Last { get; }

    /// <summary>Adds an event, which is kept when the method returns.</summary>
    /// <exception cref="JournalException">It could not be written.</exception>
    void Append(IMigrationEvent happened);
}

/// <summary>What journals of migrations say.</summary>
public static class MigrationJournals
{
    /// <summary>Why the guest is not this process's to start by itself, for people; null when it is.</summary>
    public static string? Elsewhere(this IMigrationJournal journal) => journal.Last switch
    {
        MigrationLeft left => $"its guest was being handed over to {left.Address} when this side ended: it may run there",
        MigrationGone => "its guest was handed over to another process",
        MigrationArrived => "a guest had arrived from another process, but had not been handed over: it may run there",
        _ => null,
    };
}

/// <summary>The journal of a machine that ends with the process.</summary>
public sealed class MemoryMigrationJournal : IMigrationJournal
{
    public IMigrationEvent? Last { get; private set; }

    public void Append(IMigrationEvent happened) => Last = happened;
}

/// <summary>The journal in a file (<see cref="EventFile"/>).</summary>
public sealed class MigrationJournalFile : IMigrationJournal, IDisposable
{
    private readonly EventFile _events;

    private MigrationJournalFile(string path) =>
        _events = EventFile.Open(path, "migration", "nobody knows whether the guest was handed over", happened =>
        {
            Last = happened as IMigrationEvent;
            return Last != null;
        });

    public IMigrationEvent? Last { get; private set; }

    /// <summary>Opens the journal, or makes a new one, reads all of it, and tries a write.</summary>
    /// <exception cref="JournalException">The file is no journal, is damaged, or cannot be written.</exception>
    public static MigrationJournalFile Open(string path) => new(path);

    public void Append(IMigrationEvent happened)
    {
        _events.Append([happened]);
        Last = happened;
    }

    public void Dispose() => _events.Dispose();
}
