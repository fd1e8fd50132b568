using Akka.Actor;
using Vmm.Actors.Devices;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.NineP;
using Vmm.Emulation.Tests.Devices.Virtio;
using Vmm.Tests;

namespace Vmm.Actors.Tests;

/// <summary>A shared folder through its actor and its threads, on the real core.</summary>
public sealed class NinePTests : VirtioActorKit
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-9p-");
    private readonly VirtioNineP _device;
    private readonly NinePDriver _client;
    private readonly IActorRef _actor;

    public NinePTests()
    {
        SharedFolder folder = VirtioNinePConfig.TryOpen(_folder.FullName, isReadOnly: false, FolderSecurity.None, out _)!;
        _device = new VirtioNineP(Ram, new VirtioNinePConfig("", "tag", folder));
        VirtioMmio slot = SlotOf(_device);
        _actor = Start(() => new NinePActor(_device, slot));
        _client = new NinePDriver(_device, slot, Ram, packed: false, indirect: true, eventIndex: true, wait: Wait);
    }

    protected override void AfterAll()
    {
        base.AfterAll();

        _device.Config.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Requests_are_served_while_the_VM_runs_and_wait_while_it_does_not()
    {
        _actor.Tell(new ResumeDevices());
        _client.Mount();
        _client.Ok(72, 0u, "made", 0x1EDu, 0u);
        Assert.True(Directory.Exists(Path.Combine(_folder.FullName, "made")));
        Pause(_actor, 7);
        Task<byte[]> waits = Task.Run(() => _client.Ok(72, 0u, "later", 0x1EDu, 0u));
        AwaitCondition(() => _device.HasRequests, s_patience);
        Assert.False(Directory.Exists(Path.Combine(_folder.FullName, "later")));
        _actor.Tell(new ResumeDevices());
        _ = await waits.WaitAsync(s_patience);
        Assert.True(Directory.Exists(Path.Combine(_folder.FullName, "later")));
    }

    [Fact]
    public void Reset_gives_all_fids_up_and_the_folder_can_be_mounted_again()
    {
        _actor.Tell(new ResumeDevices());
        _client.Mount();
        Assert.NotNull(_device.MoveBlocker);
        Reset(_actor);
        Assert.Null(_device.MoveBlocker);
        Assert.Equal(0u, _client.Slot.Status);
    }

    [Fact]
    public void State_of_a_folder_that_is_not_mounted_is_saved_and_loaded()
    {
        _actor.Tell(new ResumeDevices());
        _client.Mount();
        _client.Ok(120, 0u);
        Pause(_actor, 1, close: true);
        byte[] state = Save(_actor);
        Load(_actor, state);
        _actor.Tell(new ResumeDevices());
        _client.Mount();
    }

    private static (int Id, uint Written)? Wait(RingDriver ring)
    {
        (int Id, uint Written)? back = null;
        Assert.True(SpinWait.SpinUntil(() => (back = ring.Take()) != null, s_patience));
        return back;
    }
}
