using System.Collections.Concurrent;
using Akka.Actor;
using Akka.TestKit.Xunit2;
using Vmm.Actors.Devices;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Emulation;
using Vmm.Emulation.Devices.Ged;
using Vmm.Emulation.Interrupts;

namespace Vmm.Actors.Tests;

/// <summary>Events of the GED reach a guest that did not listen when they were raised.</summary>
public sealed class GedTests : TestKit
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);
    private readonly Edges _edges = new();
    private readonly Ged _ged;

    public GedTests()
        : base(VmConfiguration.Load())
    {
        _ged = new Ged(new InterruptLine(_edges, new IntId(41)));
    }

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

    private void AssertQuiet()
    {
        int edges = _edges.Count;
        Thread.Sleep(500);
        Assert.Equal(edges, _edges.Count);
    }

    [Fact]
    public void Power_button_is_repeated_until_the_guest_has_read_it()
    {
        Actor(() => false, listens: false).Tell(new PressPowerButton());
        AwaitEdges(3);
        Assert.Equal((ulong)GedEvents.PowerButton, _ged.Read(0, 4));

        // One that was on its way.
        AwaitCondition(() => _ged.Read(0, 4) == 0, s_patience);
        AssertQuiet();
    }

    [Fact]
    public void CPU_event_is_repeated_until_the_guest_has_taken_note_of_the_CPU_even_if_it_reads_the_selector()
    {
        bool unseen = true;
        Actor(() => Volatile.Read(ref unseen), listens: true).Tell(new AnnounceCpuEvent());
        AwaitEdges(4);
        Volatile.Write(ref unseen, false);
        Assert.All(_edges.Read, read => Assert.Equal((ulong)GedEvents.CpuHotplug, read));
        Thread.Sleep(100);
        AssertQuiet();
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
        AssertQuiet();
        Assert.Equal([(ulong)GedEvents.CpuHotplug], _edges.Read);
    }
}
