using System.Collections.Concurrent;
using Akka.Actor;
using Vmm.Actors.Devices;
using Vmm.Actors.Protocol;
using Vmm.Emulation;
using Vmm.Emulation.Devices.Ged;
using Vmm.Emulation.Interrupts;

namespace Vmm.Actors.Tests;

/// <summary>Events of the GED reach a guest that did not listen when they were raised.</summary>
public sealed class GedTests : PatientTestKit
{
    private static readonly TimeSpan s_patience = Patience.Limit;
    private readonly Edges _edges = new();
    private readonly Ged _ged;

    public GedTests() => _ged = new Ged(new InterruptLine(_edges, new IntId(41))) { CpuScanMethod = "SCAN" };

    // The guest: what it reads at each edge, if it listens.
    private sealed class Edges : IInterruptSink
    {
        private int _count;

        public int Count => Volatile.Read(ref _count);

        public Func<ulong>? OnEdge { get; set; }

        public ConcurrentQueue<ulong> Read { get; } = [];

        public void SetInput(IntId id, bool level)
        {
            if (level)
            {
                if (OnEdge is { } read)
                {
                    Read.Enqueue(read());
                }

                Interlocked.Increment(ref _count);
            }
        }
    }

    private IActorRef Actor(Func<bool> unseen, bool listens)
    {
        _edges.OnEdge = listens ? () => _ged.Read(0, 4) : null;
        return Sys.ActorOf(Props.Create(() => new GedActor(_ged, unseen)));
    }

    private void AwaitEdges(int count) => AwaitCondition(() => _edges.Count >= count, s_patience);

    // On a busy host an edge that was on its way may take its time.
    private void AwaitQuiet(bool reads = false) => AwaitCondition(
        () =>
        {
            int edges = _edges.Count;
            if (reads)
            {
                _ged.Read(0, 4);
            }

            Thread.Sleep(500);
            return edges == _edges.Count;
        },
        s_patience);

    [Fact]
    public void Power_button_is_repeated_until_the_guest_has_read_it()
    {
        Actor(() => false, listens: false).Tell(new PressPowerButton());
        AwaitEdges(3);
        Assert.Equal((ulong)GedEvents.PowerButton, _ged.Read(0, 4));
        AwaitQuiet(reads: true);
    }

    [Fact]
    public void CPU_event_is_repeated_until_the_guest_has_taken_note_of_the_CPU_even_if_it_reads_the_selector()
    {
        bool unseen = true;
        Actor(() => Volatile.Read(ref unseen), listens: true).Tell(new AnnounceCpuEvent());
        AwaitEdges(4);
        Volatile.Write(ref unseen, false);
        Assert.All(_edges.Read, read => Assert.Equal((ulong)GedEvents.CpuHotplug, read));
        AwaitQuiet();
    }

    [Fact]
    public void CPU_that_came_just_before_a_reset_of_the_GED_is_announced_behind_it()
    {
        bool unseen = true;
        IActorRef actor = Actor(() => Volatile.Read(ref unseen), listens: false);
        actor.Tell(new AnnounceCpuEvent());
        actor.Tell(new ResetDevices(), TestActor);
        ExpectMsg(new DevicesReset(""));
        AwaitCondition(() => _ged.Read(0, 4) == (ulong)GedEvents.CpuHotplug, s_patience);
    }

    [Fact]
    public void Guest_that_reads_at_once_is_interrupted_once()
    {
        Actor(() => false, listens: true).Tell(new AnnounceCpuEvent());
        AwaitEdges(1);
        AwaitQuiet();
        Assert.Equal([(ulong)GedEvents.CpuHotplug], _edges.Read);
    }
}
