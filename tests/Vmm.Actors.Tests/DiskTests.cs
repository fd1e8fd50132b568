using Akka.Actor;
using Vmm.Actors.Devices;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Block;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Block;
using Vmm.Emulation.Tests.Devices.Virtio;

namespace Vmm.Actors.Tests;

/// <summary>A disk through its actor, on the real core: a host that fails, is slow, or has another size.</summary>
public sealed class DiskTests : VirtioActorKit
{
    private const int Size = 1 << 20;

    private readonly Host _host = new();

    protected override void AfterAll()
    {
        base.AfterAll();

    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Requests_are_done_while_the_VM_runs_and_wait_while_it_does_not(bool packed)
    {
        (IActorRef actor, VirtioBlk blk, BlkDriver driver) = Make(BlockErrorPolicy.Report, packed);
        byte[] data = [.. Enumerable.Range(0, 4096).Select(i => (byte)i)];
        driver.Submit(BlkDriver.Out, 8, data, false, 4);
        Pause(actor, 1);
        Assert.Null(driver.Ring.Take());
        actor.Tell(new ResumeDevices());
        Assert.Equal(0, Status(driver));
        Assert.Equal(data, _host.Bytes[4096..8192]);
        driver.Submit(BlkDriver.In, 8, new byte[4096], true, 3);
        Assert.Equal(0, Status(driver));
        Assert.Equal(data, driver.DataOf(4096));
        Assert.True(blk.Disk.Statistics.Done(BlockOperation.Write) == 1);
    }

    [Theory]
    [InlineData(BlockErrorPolicy.Report, Errno.EIO, BlockErrorAction.Report, 1)]
    [InlineData(BlockErrorPolicy.Ignore, Errno.EIO, BlockErrorAction.Ignore, 0)]
    [InlineData(BlockErrorPolicy.StopWithoutSpace, Errno.EIO, BlockErrorAction.Report, 1)]
    public void Error_is_told_and_the_policy_is_kept_to(BlockErrorPolicy policy, Errno error, BlockErrorAction action, int status)
    {
        Sys.EventStream.Subscribe(TestActor, typeof(BlockIoFailed));
        (IActorRef actor, _, BlkDriver driver) = Make(policy, packed: false);
        _host.Fails = error;
        actor.Tell(new ResumeDevices());
        driver.Submit(BlkDriver.Out, 0, new byte[512], false);
        Assert.Equal(status, Status(driver));
        BlockIoFailed told = ExpectMsg<BlockIoFailed>(s_patience);
        Assert.Equal(("disk", false, action, false), (told.Disk, told.IsRead, told.Action, told.NoSpace));
        Manager.ExpectNoMsg(TimeSpan.FromMilliseconds(50));
    }

    [Theory]
    [InlineData(BlockErrorPolicy.Stop, Errno.EIO)]
    [InlineData(BlockErrorPolicy.StopWithoutSpace, Errno.ENOSPC)]
    public void Error_stops_the_VM_and_the_request_is_tried_again_when_it_goes_on(BlockErrorPolicy policy, Errno error)
    {
        Sys.EventStream.Subscribe(TestActor, typeof(BlockIoFailed));
        (IActorRef actor, VirtioBlk blk, BlkDriver driver) = Make(policy, packed: true);
        _host.Fails = error;
        actor.Tell(new ResumeDevices());
        byte[] data = [.. Enumerable.Repeat((byte)7, 512)];
        driver.Submit(BlkDriver.Out, 3, data, false);
        Manager.ExpectMsg<DiskStopped>(s_patience);
        BlockIoFailed told = ExpectMsg<BlockIoFailed>(s_patience);
        Assert.Equal((BlockErrorAction.Stop, error == Errno.ENOSPC), (told.Action, told.NoSpace));
        Pause(actor, 5);
        Assert.Null(driver.Ring.Take());

        // The state of the device has the request.
        byte[] state = Save(actor);
        Load(actor, state);
        Assert.True(blk.HasTaken);

        _host.Fails = Errno.None;
        actor.Tell(new ResumeDevices());
        Assert.Equal(0, Status(driver));
        Assert.Equal(data, _host.Bytes[1536..2048]);
        AwaitCondition(() => !blk.HasTaken, s_patience);
    }

    [Fact]
    public void Driver_that_resets_the_device_takes_the_request_of_a_stopped_VM_back()
    {
        (IActorRef actor, VirtioBlk blk, BlkDriver driver) = Make(BlockErrorPolicy.Stop, packed: false);
        _host.Fails = Errno.EIO;
        actor.Tell(new ResumeDevices());
        driver.Submit(BlkDriver.Out, 3, new byte[512], false);
        Manager.ExpectMsg<DiskStopped>(s_patience);
        driver.Slot.Status = 0;
        AwaitCondition(() => driver.Slot.Status == 0, s_patience);
        Assert.False(blk.HasTaken);
        Assert.Null(driver.Ring.Take());
    }

    [Fact]
    public void Reset_waits_for_the_request_under_way_and_its_driver_is_told_nothing()
    {
        (IActorRef actor, VirtioBlk blk, BlkDriver driver) = Make(BlockErrorPolicy.Report, packed: false);
        actor.Tell(new ResumeDevices());
        _host.Hold();
        driver.Submit(BlkDriver.Out, 3, new byte[512], false);
        AwaitCondition(() => _host.IsHeld, s_patience);
        driver.Slot.Status = 0;
        Assert.True(blk.IsResetting);
        actor.Tell(new ResetDevices(), Manager);
        Manager.ExpectNoMsg(TimeSpan.FromMilliseconds(100));
        _host.LetGo();
        Manager.ExpectMsg(new DevicesReset(""), s_patience);
        Assert.Equal(0u, driver.Slot.Status);
        Assert.Null(driver.Ring.Take());
    }

    [Fact]
    public void Slow_disk_keeps_neither_its_actor_nor_its_other_requests_from_going_on()
    {
        (IActorRef actor, VirtioBlk blk, BlkDriver driver) = Make(BlockErrorPolicy.Report, packed: false);
        actor.Tell(new ResumeDevices());
        _host.Hold();
        int held = driver.Submit(BlkDriver.Out, 3, new byte[512], false);
        AwaitCondition(() => _host.IsHeld, s_patience);
        int quick = driver.Submit(BlkDriver.GetId, 0, new byte[20], true);
        (int Id, uint Written)? back = null;
        AwaitCondition(() => (back = driver.Ring.Take()) != null, s_patience);
        Assert.Equal(quick, back!.Value.Id);

        // A pause is answered when the slow one has ended, and other messages meanwhile.
        actor.Tell(new PauseDevices(Close: false, 1), Manager);
        actor.Tell(new PauseDevices(Close: false, 2), Manager);
        actor.Tell(new Identify(1), Manager);
        Manager.ExpectMsg<ActorIdentity>(s_patience);
        _host.LetGo();
        Manager.ExpectMsg(new DevicesPaused(1), s_patience);
        Manager.ExpectMsg(new DevicesPaused(2), s_patience);
        Assert.Equal(held, driver.Ring.Take()?.Id);
        Assert.False(blk.HasTaken);
    }

    [Fact]
    public void Disk_is_resized_while_it_is_used()
    {
        (IActorRef actor, VirtioBlk blk, BlkDriver driver) = Make(BlockErrorPolicy.Report, packed: false);
        actor.Tell(new ResumeDevices());
        actor.Tell(new ResizeBlock("disk", 2 * Size), Manager);
        Manager.ExpectMsg<BlockCommandDone>(s_patience);
        Assert.Equal(2u, driver.Slot.Interrupts());
        Assert.Equal(2 * Size, blk.Disk.Size);
        driver.Submit(BlkDriver.Out, Size / 512, new byte[512], false);
        Assert.Equal(0, Status(driver));
        _host.Fails = Errno.ENOSPC;
        actor.Tell(new ResizeBlock("disk", 3 * Size), Manager);
        Assert.Equal("Failed to resize the image: No space left on device", Manager.ExpectMsg<VmCommandRejected>(s_patience).Reason);
    }

    [Fact]
    public async Task Actor_goes_on_with_an_open_disk_that_another_thread_uses()
    {
        (IActorRef actor, VirtioBlk blk, _) = Make(BlockErrorPolicy.Report, packed: false);
        using var used = new ManualResetEventSlim();
        using var go = new ManualResetEventSlim();
        Task user = Task.Run(() => blk.Disk.Use(() =>
        {
            used.Set();
            go.Wait(s_patience);
        }));
        Assert.True(used.Wait(s_patience));
        actor.Tell(new ResumeDevices());
        actor.Tell(new Identify(1), Manager);
        Manager.ExpectMsg<ActorIdentity>(s_patience);
        Assert.False(user.IsCompleted);
        go.Set();
        await user;
    }

    [Fact]
    public void Handed_over_the_disk_is_closed_and_it_is_opened_again_when_the_guest_stays()
    {
        (IActorRef actor, VirtioBlk blk, BlkDriver driver) = Make(BlockErrorPolicy.Report, packed: false);
        actor.Tell(new ResumeDevices());
        driver.Submit(BlkDriver.Flush, 0, [], false);
        Assert.Equal(0, Status(driver));
        Pause(actor, 1, close: true);
        Assert.Equal((1, null), (_host.Closed, blk.Disk.Root));
        actor.Tell(new ResumeDevices());
        driver.Submit(BlkDriver.Flush, 0, [], false);
        Assert.Equal(0, Status(driver));

        // What another process has is not opened, and the VM stops.
        Pause(actor, 2, close: true);
        _host.IsOthers = true;
        actor.Tell(new ResumeDevices());
        Manager.ExpectMsg<DiskStopped>(s_patience);
    }

    [Fact]
    public void Limits_change_and_a_pause_ends_while_requests_wait_for_them()
    {
        (IActorRef actor, VirtioBlk blk, BlkDriver driver) = Make(BlockErrorPolicy.Report, packed: false);
        actor.Tell(new ResumeDevices());
        Limit(("bps-total", 1));
        driver.Submit(BlkDriver.Out, 0, new byte[512], false);
        Assert.Equal(0, Status(driver));
        int waiting = driver.Submit(BlkDriver.Out, 1, new byte[512], false);
        AwaitCondition(() => blk.HasTaken, s_patience);
        Assert.Null(driver.Ring.Take());

        // Hours too early by the limits, and they hold again afterwards.
        Pause(actor, 1);
        Assert.Equal(waiting, driver.Ring.Take()?.Id);
        actor.Tell(new ResumeDevices());
        waiting = driver.Submit(BlkDriver.Out, 2, new byte[512], false);
        AwaitCondition(() => blk.HasTaken, s_patience);
        Assert.Null(driver.Ring.Take());
        Limit();
        Assert.Equal(waiting, driver.Ring.Take()?.Id);
        Assert.Null(blk.Disk.Limits);

        void Limit(params (string Name, long Value)[] limits)
        {
            long[] values = [.. ThrottleLimits.Names.Select(n =>
                limits.FirstOrDefault(l => l.Name == n) is { Name: not null } l ? l.Value
                    : n.EndsWith("length", StringComparison.Ordinal) ? 1 : 0)];
            actor.Tell(new LimitBlock("disk", values, ""), Manager);
            Manager.ExpectMsg<BlockCommandDone>(s_patience);
        }
    }

    [Fact]
    public void Disk_whose_medium_was_taken_away_fails_requests_and_stops_nothing()
    {
        (IActorRef actor, VirtioBlk blk, BlkDriver driver) = Make(BlockErrorPolicy.Stop, packed: false);
        actor.Tell(new ResumeDevices());
        actor.Tell(new EjectBlock("disk"), Manager);
        Manager.ExpectMsg<BlockCommandDone>(s_patience);
        Assert.Equal((1, null), (_host.Closed, blk.Disk.Root));
        for (int i = 0; i < 2; i++)
        {
            driver.Submit(BlkDriver.Out, 0, new byte[512], false);
            Assert.Equal(1, Status(driver));
            driver.Submit(BlkDriver.Flush, 0, [], false);
            Assert.Equal(1, Status(driver));
            Pause(actor, 1);
            actor.Tell(new ResumeDevices());
        }

        actor.Tell(new EjectBlock("disk"), Manager);
        Assert.Equal("Device 'disk' has no medium", Manager.ExpectMsg<VmCommandRejected>(s_patience).Reason);
    }

    private (IActorRef Actor, VirtioBlk Blk, BlkDriver Driver) Make(BlockErrorPolicy policy, bool packed)
    {
        var disk = new BlockBackend("disk", isReadOnly: false, _host.Open);
        disk.Open();
        var blk = new VirtioBlk(Ram, new VirtioBlkConfig("", disk)
        {
            ReadError = policy,
            WriteError = policy,
            Rings = VirtioFeatures.EventIndex | VirtioFeatures.IndirectDescriptors | VirtioFeatures.PackedRings,
        });
        VirtioMmio slot = SlotOf(blk);
        IActorRef actor = Start(() => new DiskActor(blk, slot, "/machine/peripheral/disk", () => 0));
        return (actor, blk, new BlkDriver(slot, Ram, packed, indirect: true, eventIndex: true, 1ul << 9));
    }

    // Waits for the one request that is out.
    private static int Status(BlkDriver driver)
    {
        AwaitCondition(() => driver.Ring.Take() != null, s_patience);
        return driver.StatusByte;
    }

    /// <summary>A disk in memory whose host does what the test wants.</summary>
    private sealed class Host
    {
        private volatile bool _holds;

        public byte[] Bytes { get; private set; } = new byte[Size];

        public volatile Errno Fails;

        public volatile bool IsHeld;

        public volatile bool IsOthers;

        public volatile int Closed;

        public void Hold() => _holds = true;

        public void LetGo() => _holds = false;

        public BlockNode Open() => IsOthers ? throw new BlockException("'disk' is in use") : new Node(this);

        private Errno Wait()
        {
            if (_holds)
            {
                IsHeld = true;
                AwaitCondition(() => !_holds, s_patience);
            }

            return Fails;
        }

        private sealed class Node(Host host) : BlockNode
        {
            public override string Driver => "memory";

            public override long Size => host.Bytes.Length;

            public override bool IsReadOnly => false;

            public override Errno Read(long offset, Span<byte> buffer)
            {
                host.Bytes.AsSpan((int)offset, buffer.Length).CopyTo(buffer);
                return host.Wait();
            }

            public override Errno Write(long offset, ReadOnlySpan<byte> data)
            {
                Errno error = host.Wait();
                if (error == Errno.None)
                {
                    data.CopyTo(host.Bytes.AsSpan((int)offset));
                }

                return error;
            }

            public override Errno WriteZeroes(long offset, long length, bool mayUnmap) => host.Wait();

            public override Errno Discard(long offset, long length) => host.Wait();

            public override Errno Flush() => Errno.None;

            public override Errno Resize(long size)
            {
                if (host.Fails == Errno.None)
                {
                    byte[] bytes = new byte[size];
                    host.Bytes.CopyTo(bytes, 0);
                    host.Bytes = bytes;
                }

                return host.Fails;
            }

            public override Errno Status(long offset, long length, out BlockStatus status)
            {
                status = new BlockStatus(BlockStatusKind.Data, length);
                return Errno.None;
            }

            protected override void Close() => host.Closed++;
        }
    }
}
