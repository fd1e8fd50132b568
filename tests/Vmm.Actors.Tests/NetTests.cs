using System.Collections.Concurrent;
using Akka.Actor;
using Vmm.Actors.Devices;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Net;
using Vmm.Emulation.Net;
using Vmm.Emulation.Tests.Devices.Virtio;

namespace Vmm.Actors.Tests;

/// <summary>
/// A network device through its actor and its thread, on the real core: a host's end that is slow, lost, or has no frames.
/// </summary>
public sealed class NetTests : VirtioActorKit
{
    private static readonly byte[] s_frame = [.. Enumerable.Range(0, 60).Select(i => (byte)i)];

    private readonly End _end = new();
    private VirtioMmio? _slot;

    protected override void AfterAll()
    {
        base.AfterAll();

    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Frames_go_both_ways_while_the_VM_runs_and_none_while_it_does_not(bool packed)
    {
        (IActorRef actor, NetDriver driver) = Make(packed);
        driver.Send(new byte[NetDriver.HeaderSize], s_frame);
        Pause(actor, 1);
        Assert.Empty(_end.Sent);
        actor.Tell(new ResumeDevices());
        AwaitCondition(() => driver.Rings[1].Take() != null, s_patience);
        Assert.Equal(s_frame, Assert.Single(_end.Sent));

        // A frame waits for a buffer, and is not lost.
        _end.Give(s_frame);
        AwaitCondition(() => _end.IsEmpty, s_patience);
        Assert.Null(driver.Receive());
        driver.Offer(512);
        byte[]? received = null;
        AwaitCondition(() => (received = driver.Receive()) != null, s_patience);
        Assert.Equal(s_frame, received![NetDriver.HeaderSize..]);
        Pause(actor, 2);
        driver.Send(new byte[NetDriver.HeaderSize], s_frame);
        Pause(actor, 3);
        Assert.Single(_end.Sent);
        actor.Tell(new ResumeDevices());
        AwaitCondition(() => _end.Sent.Count == 2, s_patience);
    }

    [Fact]
    public void Frame_that_the_host_has_no_room_for_waits()
    {
        (IActorRef actor, NetDriver driver) = Make(packed: false);
        actor.Tell(new ResumeDevices());
        _end.IsFull = true;
        driver.Send(new byte[NetDriver.HeaderSize], s_frame);
        AwaitCondition(() => _end.Refused > 0, s_patience);
        _end.IsFull = false;
        _end.Ring();
        AwaitCondition(() => _end.Sent.Count == 1, s_patience);
    }

    [Fact]
    public void Link_is_taken_away_and_given_back()
    {
        (IActorRef actor, NetDriver driver) = Make(packed: false);
        actor.Tell(new ResumeDevices());
        actor.Tell(new SetNetLink("net", false), Manager);
        Manager.ExpectMsg<NetCommandDone>(s_patience);
        AwaitCondition(() => driver.Slot.Interrupts() == 2, s_patience);
        driver.Send(new byte[NetDriver.HeaderSize], s_frame);
        AwaitCondition(() => driver.Rings[1].Take() != null, s_patience);
        Assert.Empty(_end.Sent);
        actor.Tell(new SetNetLink("net", true), Manager);
        Manager.ExpectMsg<NetCommandDone>(s_patience);
        AwaitCondition(() => (driver.Slot.Interrupts() & 2) != 0, s_patience);
        driver.Send(new byte[NetDriver.HeaderSize], s_frame);
        AwaitCondition(() => _end.Sent.Count == 1, s_patience);
    }

    [Fact]
    public void Lost_end_is_told_of_and_the_guest_has_no_link()
    {
        Sys.EventStream.Subscribe(TestActor, typeof(VmNotice));
        (IActorRef actor, NetDriver driver) = Make(packed: false);
        actor.Tell(new ResumeDevices());
        _end.Break("it is gone");
        Assert.Equal("it is gone", ExpectMsg<VmNotice>(s_patience).Text);
        AwaitCondition(() => driver.Slot.Interrupts() == 2, s_patience);
        Pause(actor, 1);
    }

    [Fact]
    public void Handed_over_what_one_process_can_have_is_given_up_and_its_state_goes_along()
    {
        (IActorRef actor, _) = Make(packed: false);
        actor.Tell(new ResumeDevices());
        AwaitCondition(() => _end.IsClaimed, s_patience);
        Pause(actor, 1, close: true);
        Assert.False(_end.IsClaimed);
        byte[] state = Save(actor);
        _end.State = [];
        Load(actor, state);
        AwaitCondition(() => _end.State.SequenceEqual(End.SavedState), s_patience);
        actor.Tell(new ResumeDevices());
        AwaitCondition(() => _end.IsClaimed, s_patience);

        // The network learns where the guest is: here by the device, for this driver takes no such request.
        AwaitCondition(() => _end.Sent.Any(f => f[12] == 0x80 && f[13] == 0x35), s_patience);
    }

    [Fact]
    public void Driver_resets_the_device_under_load()
    {
        (IActorRef actor, NetDriver driver) = Make(packed: true);
        actor.Tell(new ResumeDevices());
        for (int i = 0; i < 20; i++)
        {
            _end.Give(s_frame);
            driver.Send(new byte[NetDriver.HeaderSize], s_frame);
            driver.Slot.Status = 0;
            AwaitCondition(() => driver.Slot.Status == 0, s_patience);
            driver = new NetDriver(_slot!, Ram, packed: true, true, true, 0);
        }

        driver.Send(new byte[NetDriver.HeaderSize], s_frame);
        AwaitCondition(() => driver.Rings[1].Take() != null, s_patience);
        Reset(actor);
    }

    private (IActorRef Actor, NetDriver Driver) Make(bool packed)
    {
        var net = new VirtioNet(Ram, new VirtioNetConfig("net", 0x5254_0012_3456)
        {
            Rings = VirtioFeatures.EventIndex | VirtioFeatures.IndirectDescriptors | VirtioFeatures.PackedRings,
        });
        VirtioMmio slot = _slot = SlotOf(net);
        IActorRef actor = Start(() => new NetActor(net, slot, _end));
        return (actor, new NetDriver(slot, Ram, packed, true, true, 0));
    }

    /// <summary>A host's end that does what the test wants; the thread looks at it as often as a pipe has a byte.</summary>
    private sealed class End() : Netdev("end")
    {
        public static readonly byte[] SavedState = [1, 2, 3];

        private readonly ConcurrentQueue<byte[]> _frames = [];
        private readonly System.IO.Pipes.AnonymousPipeServerStream _bell = new(System.IO.Pipes.PipeDirection.Out);
        private System.IO.Pipes.AnonymousPipeClientStream? _heard;
        private int _rung;

        public volatile bool IsFull;

        public volatile int Refused;

        public volatile bool IsClaimed;

        public volatile byte[] State = SavedState;

        public ConcurrentQueue<byte[]> Sent { get; } = [];

        public bool IsEmpty => _frames.IsEmpty;

        public override string Type => "end";

        public override string Details => "";

        public override bool IsConnected => Problem == null;

        public void Give(byte[] frame)
        {
            _frames.Enqueue(frame);
            Ring();
        }

        public void Ring()
        {
            _bell.WriteByte(0);
            Interlocked.Increment(ref _rung);
        }

        public override void Work()
        {
            while (Volatile.Read(ref _rung) > 0)
            {
                Interlocked.Decrement(ref _rung);
                _heard!.ReadByte();
            }
        }

        public void Break(string problem)
        {
            Lose(problem);
            Ring();
        }

        public override void Open()
        {
        }

        public override string? Claim()
        {
            IsClaimed = true;
            return null;
        }

        public override void Release() => IsClaimed = false;

        public override void AddTo(NetPoll poll, bool takes, bool gives)
        {
            _heard ??= new System.IO.Pipes.AnonymousPipeClientStream(
                System.IO.Pipes.PipeDirection.In, _bell.GetClientHandleAsString());
            poll.Add(_heard.SafePipeHandle, read: true, write: false);
        }

        public override bool TrySend(NetFrame frame)
        {
            if (IsFull)
            {
                Refused++;
                return false;
            }

            Sent.Enqueue(frame.Bytes.ToArray());
            return true;
        }

        public override bool TryReceive(NetFrame frame)
        {
            bool has = _frames.TryDequeue(out byte[]? bytes);
            if (has)
            {
                frame.Set(bytes);
            }

            return has;
        }

        public override byte[] SaveState() => State;

        public override void LoadState(byte[] state) => State = state;
    }
}
