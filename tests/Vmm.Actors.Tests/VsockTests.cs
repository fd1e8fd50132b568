using System.Net.Sockets;
using System.Text;
using Akka.Actor;
using Akka.TestKit;
using Vmm.Actors.Devices;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Vsock;
using Vmm.Emulation.Tests.Devices.Virtio;
using Vmm.Tests;

namespace Vmm.Actors.Tests;

/// <summary>A socket device through its actor and its thread, on the real core and with real sockets of the host.</summary>
public sealed class VsockTests : VirtioActorKit
{
    private const uint Guest = 1000;
    private const uint Port = 52;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-vsock-");
    private readonly Socket _server = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

    public VsockTests()
    {
        _server.Bind(new UnixDomainSocketEndPoint($"{SocketPath}_{Port}"));
        _server.Listen(4);
    }

    private string SocketPath => Path.Combine(_folder.FullName, "v");

    protected override void AfterAll()
    {
        base.AfterAll();

        _server.Dispose();
        _folder.Delete(recursive: true);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Bytes_go_both_ways_while_the_VM_runs_and_none_while_it_does_not(bool packed)
    {
        (IActorRef actor, VsockDriver driver) = Make(packed);
        driver.Send(new VsockMessage(Guest, Port, VsockMessage.Request));
        Pause(actor, 1);
        Assert.False(_server.Poll(0, SelectMode.SelectRead));
        actor.Tell(new ResumeDevices());
        using Socket host = Connect(driver);
        driver.Send(new VsockMessage(Guest, Port, VsockMessage.Bytes, "question"u8.ToArray()));
        byte[] got = new byte[16];
        Assert.Equal(8, host.Receive(got));
        Pause(actor, 2);
        host.Send("answer"u8);
        driver.Send(new VsockMessage(Guest, Port, VsockMessage.Bytes, "more"u8.ToArray()));
        Pause(actor, 3);
        Assert.Null(driver.Receive());
        Assert.Equal(0, host.Available);
        actor.Tell(new ResumeDevices());
        Assert.Equal("answer", Encoding.ASCII.GetString(Next(driver).Data));
        Assert.Equal(4, host.Receive(got));
    }

    [Fact]
    public void Machine_that_is_handed_over_gives_its_socket_and_its_connections_up()
    {
        (IActorRef actor, VsockDriver driver) = Make(packed: false);
        actor.Tell(new ResumeDevices());
        AwaitCondition(() => File.Exists(SocketPath), s_patience);
        driver.Send(new VsockMessage(Guest, Port, VsockMessage.Request));
        using Socket host = Connect(driver);
        Pause(actor, 1, close: true);
        Assert.False(File.Exists(SocketPath));
        Assert.Equal(0, host.Receive(new byte[1]));
        actor.Tell(new ResumeDevices());
        AwaitCondition(() => File.Exists(SocketPath), s_patience);
        driver.Send(new VsockMessage(Guest, Port, VsockMessage.Bytes, [1]));
        Assert.Equal(VsockMessage.Reset, Next(driver).Operation);
    }

    [Fact]
    public void Driver_is_told_after_a_load_that_its_connections_are_gone()
    {
        (IActorRef actor, VsockDriver driver) = Make(packed: true);
        actor.Tell(new ResumeDevices());
        driver.Send(new VsockMessage(Guest, Port, VsockMessage.Request));
        using Socket host = Connect(driver);
        Pause(actor, 1);
        byte[] state = Save(actor);
        Load(actor, state);
        actor.Tell(new ResumeDevices());
        uint? told = null;
        AwaitCondition(() => (told = driver.Event()) != null, s_patience);
        Assert.Equal(0u, told);
        Assert.Equal(0, host.Receive(new byte[1]));
    }

    [Fact]
    public void Reset_ends_connections_and_a_path_that_cannot_be_had_is_told_of()
    {
        TestProbe people = CreateTestProbe();
        Sys.EventStream.Subscribe(people, typeof(VmNotice));
        (IActorRef actor, VsockDriver driver) = Make(packed: false);
        Directory.CreateDirectory(SocketPath);
        actor.Tell(new ResumeDevices());
        Assert.Contains($"can't listen at {SocketPath}", people.ExpectMsg<VmNotice>(s_patience).Text, StringComparison.Ordinal);
        driver.Send(new VsockMessage(Guest, Port, VsockMessage.Request));
        using Socket host = Connect(driver);
        Reset(actor);
        Assert.Equal(0, host.Receive(new byte[1]));
        Directory.Delete(SocketPath);
    }

    private (IActorRef Actor, VsockDriver Driver) Make(bool packed)
    {
        var vsock = new VirtioVsock(Ram, new VirtioVsockConfig("", (uint)VsockDriver.Cid, SocketPath)
        {
            Rings = VirtioFeatures.EventIndex | VirtioFeatures.IndirectDescriptors | VirtioFeatures.PackedRings,
        });
        VirtioMmio slot = SlotOf(vsock);
        IActorRef actor = Start(() => new VsockActor(vsock, slot));
        return (actor, new VsockDriver(slot, Ram, packed, true, true));
    }

    private Socket Connect(VsockDriver driver)
    {
        Assert.Equal(VsockMessage.Response, Next(driver).Operation);
        return _server.Accept();
    }

    private VsockMessage Next(VsockDriver driver)
    {
        VsockMessage? next = null;
        AwaitCondition(() => (next = driver.Receive()) != null, s_patience);
        return next!;
    }

}
