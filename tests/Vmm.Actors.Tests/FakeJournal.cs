using Vmm.Actors.Hotplug;
using Vmm.Actors.Journals;
using Vmm.Actors.Protocol;

namespace Vmm.Actors.Tests;

/// <summary>A journal in memory whose disk can be full.</summary>
internal sealed class FakeJournal : IHotplugJournal
{
    /// <summary>What a disk that is full says.</summary>
    public const string Full = "the change cannot be written: disk is full";

    private readonly MemoryJournal _kept = new();
    private int _attempts;

    /// <summary>Nothing can be written.</summary>
    public volatile bool IsFull;

    /// <summary>What is kept, in order.</summary>
    public List<IHotplugEvent> Events { get; } = [];

    /// <summary>How often something was to be written.</summary>
    public int Attempts => Volatile.Read(ref _attempts);

    public HotplugState State => _kept.State;

    /// <summary>What the machine is made with.</summary>
    public void PowerOn(FakeMachine machine)
    {
        IReadOnlyList<IHotplugEvent> happened = State.PowerOn(machine.PowerOnCpus, 0, out string? refusal);
        Assert.Null(refusal);
        _kept.Append(happened);
    }

    public void Append(IReadOnlyList<IHotplugEvent> events)
    {
        Interlocked.Increment(ref _attempts);
        if (IsFull)
        {
            throw new JournalException(Full);
        }

        _kept.Append(events);
        lock (Events)
        {
            Events.AddRange(events);
        }
    }
}
