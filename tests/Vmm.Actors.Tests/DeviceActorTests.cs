using Akka.Actor;
using Vmm.Actors.Devices;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Emulation;
using Vmm.Emulation.Block;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Boot;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Ged;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Balloon;
using Vmm.Emulation.Devices.Virtio.Block;
using Vmm.Emulation.Devices.Virtio.Net;
using Vmm.Emulation.Devices.Virtio.NineP;
using Vmm.Emulation.Devices.Virtio.Rng;
using Vmm.Emulation.Devices.Virtio.Serial;
using Vmm.Emulation.Devices.Virtio.Vsock;
using Vmm.Emulation.Devices.VmGenId;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Tests.Devices.Virtio;

namespace Vmm.Actors.Tests;

/// <summary>
/// What every actor of a device must do, as the manager of devices starts it on a board that has one of each: stand still and go on, be
/// saved, reset and loaded. What the host does to a device, by failing or by being slow, is in the tests of each (<see cref="Others"/>).
/// </summary>
public sealed class DeviceActorTests : PatientTestKit
{
    private static readonly TimeSpan s_patience = Vmm.Tests.Patience.Limit;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-devices-");
    private readonly VirtioConfig[] _virtio;
    private readonly FakeMachine _machine;
    private readonly IActorRef _manager;

    /// <summary>A kind of actor.</summary>
    /// <param name="Disturb">What the guest does to the device, after which its state is another one.</param>
    /// <param name="Others">The tests of a host that fails or has no room; none where no host is behind the device.</param>
    /// <param name="OutlivesReset">Whether the actor's part of a reset leaves its state.</param>
    private sealed record Kind(Action<IDevice> Disturb, Type? Others = null, bool OutlivesReset = false);

    private static readonly Dictionary<string, Kind> s_kinds = new(StringComparer.Ordinal)
    {
        // The ITS, whose queue is placed.
        [nameof(DeviceActor)] = new(device => Write(device, 0x80, 8, 0x4000_0000)),
        [nameof(UartActor)] = new(device => Write(device, 0x24, 4, 13), typeof(DeviceTests)),
        [nameof(RtcActor)] = new(device => Write(device, 0x10, 4, 1), typeof(DeviceTests)),
        [nameof(GpioActor)] = new(device => Write(device, 0x410, 4, 8), typeof(DeviceTests)),
        [nameof(GedActor)] = new(device => ((Ged)device).Raise(GedEvents.PowerButton), typeof(GedTests)),
        [nameof(FlashActor)] = new(device => Write(device, 0, 4, 0x0070_0070), typeof(DeviceTests)),
        ["HotplugBlockActor"] = new(device => Write(device, 0, 4, 1), typeof(HotplugTests), OutlivesReset: true),
        ["VmGenIdActor"] = new(device => ((VmGenId)device).Renew(), OutlivesReset: true),
        ["VirtioRngActor"] = new(Negotiate),
        [nameof(BalloonActor)] = new(Negotiate, typeof(SerialPortsTests)),
        [nameof(SerialPortsActor)] = new(Negotiate, typeof(SerialPortsTests)),
        [nameof(DiskActor)] = new(Negotiate, typeof(DiskTests)),
        [nameof(NinePActor)] = new(Negotiate, typeof(NinePTests)),
        [nameof(NetActor)] = new(Negotiate, typeof(NetTests)),
        [nameof(VsockActor)] = new(Negotiate, typeof(VsockTests)),
    };

    public DeviceActorTests()
    {
        SharedFolder folder = VirtioNinePConfig.TryOpen(_folder.FullName, isReadOnly: false, FolderSecurity.None, out _)!;
        string disk = Path.Combine(_folder.FullName, "disk");
        File.WriteAllBytes(disk, new byte[1 << 20]);
        var backend = new BlockBackend("disk", false, () => BlockImage.Open(disk, "raw", true, new ImageOptions()));
        backend.Open();
        _virtio =
        [
            new VirtioRngConfig(""), new VirtioBalloonConfig(""), new VirtioSerialConfig("", 4, []), new VirtioBlkConfig("", backend),
            new VirtioNinePConfig("", "tag", folder), new VirtioNetConfig("net", 0x5254_0012_3456),
            new VirtioVsockConfig("", 3, Path.Combine(_folder.FullName, "v")),
        ];
        var code = new FlashImage(new byte[4096], ReadOnly: true);
        var config = new MachineConfig(
            CpuModel.Find("max")!, 1, new CpuTopology(1, 1, 2, 1), 128 << 20, new BootConfig(default, null, ""))
        {
            VirtioMmio = _virtio,
            Firmware = new FirmwareConfig(code, code with { ReadOnly = false }),
            GenerationId = new GenerationIdConfig(null),
        };
        _machine = new FakeMachine(1, 1) { Board = new VirtBoard(config), HasWholeBoard = true };
        Action<ReadOnlyMemory<byte>> nowhere = _ => { };
        _manager = Sys.ActorOf(ActorProps.Of(() => new DeviceManager(_machine, nowhere)), "devices");
        _manager.Tell(new ResetDevices(), TestActor);
        ExpectMsg(new DevicesReset(""), s_patience);
    }

    public static TheoryData<string> Kinds() => [.. s_kinds.Keys];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Actor_of_a_device_stands_still_is_saved_reset_and_loaded(string kind)
    {
        PlacedDevice placed = WithActors.First(d => KindOf(d) == kind);
        _manager.Tell(new ResumeDevices());
        s_kinds[kind].Disturb(placed.Device);
        Pause();
        byte[] saved = State(placed);
        Assert.Equal(saved, State(placed));
        _manager.Tell(new ResetDevices(), TestActor);
        ExpectMsg(new DevicesReset(""), s_patience);
        Assert.Equal(s_kinds[kind].OutlivesReset, saved.SequenceEqual(State(placed)));
        if (kind == "VmGenIdActor")
        {
            ((VmGenId)placed.Device).Renew();
            Assert.NotEqual(saved, State(placed));
        }

        _manager.Tell(new LoadDeviceState(placed.Id, saved), TestActor);
        ExpectMsg(new DeviceStateLoaded(placed.Id), s_patience);
        Assert.Equal(saved, State(placed));
        _manager.Tell(new ResumeDevices());
        Pause();
        Pause();
    }

    /// <summary>Whoever adds an actor of a device adds a line to the table, and a device to the board of these tests.</summary>
    [Fact]
    public void Every_actor_of_a_device_is_in_the_table_and_on_the_board()
    {
        string[] actors = [.. typeof(DeviceActor).Assembly.GetTypes()
            .Where(t => t.IsAssignableTo(typeof(DeviceActor)) && !t.IsAbstract && t.Namespace == typeof(DeviceActor).Namespace)
            .Select(t => t.Name).Order(StringComparer.Ordinal)];
        Assert.Equal(actors, s_kinds.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(actors, WithActors.Select(KindOf).Distinct().Order(StringComparer.Ordinal));
        Assert.All(s_kinds.Values, kind => Assert.True(kind.Others?.IsAssignableTo(typeof(PatientTestKit)) ?? true));
    }

    protected override void AfterAll()
    {
        base.AfterAll();

        // Actors and their threads use what follows.
        Shutdown(s_patience);
        _machine.Board!.Dispose();
        Array.ForEach(_virtio, device => device.Dispose());
        _folder.Delete(recursive: true);
    }

    private static void Write(IDevice device, ulong offset, int size, ulong value) =>
        device.Regions[0].Registers.Write(offset, size, value);

    private static void Negotiate(IDevice device) =>
        Assert.True(new MmioDriver(device.Regions[0].Registers).Negotiate(MmioDriver.Version1));

    // The GIC's actor is none of the manager's.
    private IEnumerable<PlacedDevice> WithActors => _machine.Devices.Where(d => d.HasActor && d.Id != "gic");

    private string KindOf(PlacedDevice placed)
    {
        IActorRef actor = Sys.ActorSelection(_manager.Path / placed.Id).ResolveOne(s_patience).GetAwaiter().GetResult();
        return ((ActorRefWithCell)actor).Underlying.Props.Type.Name;
    }

    private void Pause()
    {
        _manager.Tell(new PauseDevices(Close: false), TestActor);
        ExpectMsg<DevicesPaused>(s_patience);
    }

    private byte[] State(PlacedDevice placed)
    {
        _manager.Tell(new GetDeviceState(placed.Id), TestActor);
        return ExpectMsg<DeviceState>(s_patience).Bytes;
    }
}
