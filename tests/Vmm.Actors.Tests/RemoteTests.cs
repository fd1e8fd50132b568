using System.Text;
using Akka.Actor;
using Akka.Configuration;
using Akka.Hosting;
using Akka.Serialization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Internal;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Actors.Serialization;
using Vmm.Actors.Vcpu;
using Vmm.Actors.Vm;

namespace Vmm.Actors.Tests;

/// <summary>A VM whose actor system is opened to others, and another system that talks to it over TCP.</summary>
public sealed class RemoteTests : IAsyncLifetime
{
    private static readonly TimeSpan s_patience = Patience.Limit;
    private readonly FakeMachine _machine = new(enabled: 2, possible: 4);
    private readonly ServiceProvider _services;
    private readonly List<ActorSystem> _clients = [];
    private ActorSystem _server = null!;
    private IActorRef _vm = ActorRefs.Nobody;
    private int _port;

    public RemoteTests()
    {
        var options = new VmOptions(VcpuManager.VcpuDispatcher, Patience.Limit, _ => { });
        _services = new ServiceCollection()
            .AddSingleton<ILoggerFactory>(NullLoggerFactory.Instance)
            .AddSingleton(typeof(ILogger<>), typeof(Logger<>))
            .AddSingleton<IHostApplicationLifetime, ApplicationLifetime>()
            .AddAkka(VmHosting.SystemName, akka => akka.WithVm(_machine, options).WithRemoteControl("127.0.0.1", 0))
            .BuildServiceProvider();
    }

    public async Task InitializeAsync()
    {
        await _services.GetRequiredService<IHostedService>().StartAsync(CancellationToken.None);
        _server = _services.GetRequiredService<ActorSystem>();
        _vm = _services.GetRequiredService<IRequiredActor<VmSupervisor>>().ActorRef;
        _port = ((ExtendedActorSystem)_server).Provider.DefaultAddress.Port!.Value;
    }

    public async Task DisposeAsync()
    {
        foreach (ActorSystem client in _clients)
        {
            await client.Terminate();
        }

        await _server.Terminate();
        await _services.DisposeAsync();
    }

    private Inbox? _inbox;

    private Inbox Client(Config config)
    {
        var client = ActorSystem.Create("client", config);
        _clients.Add(client);
        return Inbox.Create(client);
    }

    // What anyone would have who does not care for our rules: Akka's defaults, and the VM's messages.
    private static Config Foreign => ConfigurationFactory.ParseString("""
        akka.actor.provider = remote
        akka.actor.serializers.wire = "Vmm.Actors.Tests.WireSerializer, Vmm.Actors.Tests"
        akka.actor.serialization-bindings {
          "Vmm.Actors.Protocol.IProtocolMessage, Vmm.Actors" = wire
          "Vmm.Actors.Tests.WireMessage, Vmm.Actors.Tests" = wire
        }
        akka.remote.dot-netty.tcp { hostname = 127.0.0.1, port = 0, connection-timeout = 10m }
        akka.remote.startup-timeout = 10m
        akka.loglevel = OFF
        akka.stdout-loglevel = OFF
        """);

    private void Send(object message) => Send(message, $"user/{VmHosting.VmName}");

    private void Send(object message, string path) =>
        _clients[^1].ActorSelection($"akka.tcp://vmm@127.0.0.1:{_port}/{path}").Tell(message, _inbox!.Receiver);

    private async Task<T> Receive<T>()
    {
        object answer = await _inbox!.ReceiveAsync(s_patience);
        return Assert.IsType<T>(answer);
    }

    [Fact]
    public async Task Plug_and_unplug_from_another_system_with_answers_and_outcomes()
    {
        _inbox = Client(VmConfiguration.LoadRemote("127.0.0.1", 0));
        _clients[0].RemoteVm("127.0.0.1", _port).Tell(new StartVm(), _inbox.Receiver);
        Assert.Equal(new VmStatus(VmRunState.Running, ""), await Receive<VmStatus>());
        Send(new GetMachineDescription());
        Assert.Equal(_machine.Description, await Receive<MachineDescription>());

        Send(new PlugVcpu("core3", 3));
        Assert.Equal(new HotplugAccepted("core3", 3), await Receive<HotplugAccepted>());
        await Until(() => _machine.IsEnabled(3));
        _machine.Port.Ost(3, 1, 0);
        Assert.Equal(new HotplugOutcome("core3", 3, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0), await Receive<HotplugOutcome>());
        Send(new GetPluggedVcpus());
        Assert.Equal(["core3"], (await Receive<PluggedVcpus>()).Ids);

        Send(new UnplugVcpu("core3"));
        Assert.Equal(new HotplugAccepted("core3", 3), await Receive<HotplugAccepted>());
        await Until(() => _machine.Log.Contains("remove 3"));
        _machine.Port.Eject(3);
        Assert.Equal(new HotplugOutcome("core3", 3, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0), await Receive<HotplugOutcome>());
        Send(new GetVmStatus());
        Assert.Equal(VmRunState.Running, (await Receive<VmStatus>()).RunState);
    }

    [Fact]
    public async Task Nonsense_in_messages_is_rejected_in_one_line()
    {
        _inbox = Client(Foreign);
        foreach (int cpu in new[] { -1, 4, int.MaxValue, int.MinValue })
        {
            Send(new PlugVcpu("a", cpu));
            Assert.Equal($"Invalid core-id {cpu} specified, correct range 0:3", (await Receive<HotplugRejected>()).Reason);
            Send(new GetVcpuStatus(cpu));
            Assert.Equal("CPU not found", (await Receive<VmCommandRejected>()).Reason);
            Send(new PowerOnVcpu(cpu, 0, 0));
            Assert.Equal("CPU not found", (await Receive<VmCommandRejected>()).Reason);
        }

        foreach (string id in new[] { "", new string('x', 20_000), "a b", "\u001b[2J" })
        {
            Send(new PlugVcpu(id, 3));
            Assert.Equal("Parameter 'id' expects an identifier", (await Receive<HotplugRejected>()).Reason);
            Send(new UnplugVcpu(id));
            string reason = (await Receive<HotplugRejected>()).Reason;
            Assert.Matches("^Device '[ -~]{0,128}' not found$", reason);
        }
    }

    public static TheoryData<string> ForeignMessages() => 
        ["text", "number", "bytes", "record", "null id", "no id", "no JSON", "no manifest", "poison", "kill", "identify", "failure"];

    [Theory]
    [MemberData(nameof(ForeignMessages))]
    public async Task Foreign_message_is_refused_and_harms_nothing(string kind)
    {
        _inbox = Client(Foreign);
        Send(new GetVmStatus());
        await Receive<VmStatus>();
        object message = kind switch
        {
            "text" => "device_add",
            "number" => 42,
            "bytes" => new byte[] { 1, 2, 3 },
            "record" => new ForeignRecord("x", 1),
            "null id" => new WireMessage("hp", """{"Id":null,"Cpu":3}"""),
            "no id" => new WireMessage("hp", """{"Cpu":3}"""),
            "no JSON" => new WireMessage("hp", "{{{"),
            "no manifest" => new WireMessage("System.Diagnostics.Process", "{}"),
            "poison" => PoisonPill.Instance,
            "kill" => Kill.Instance,
            "identify" => new Identify(1),
            _ => new Status.Failure(new InvalidOperationException("x")),
        };
        ForeignRecord.Made = 0;
        Send(message);
        foreach (string path in new[] { "user/vm/vcpus", "user/vm/hotplug", "user", "remote", "system/log1" })
        {
            Send(message, path);
        }

        // The connection stays, the VM too, and nothing of the message came to life.
        Send(new GetVmStatus());
        Assert.Equal(VmRunState.Prelaunch, (await Receive<VmStatus>()).RunState);
        Send(new GetPluggedVcpus());
        Assert.Empty((await Receive<PluggedVcpus>()).Ids);
        Assert.Equal(0, ForeignRecord.Made);
        Assert.False(_server.WhenTerminated.IsCompleted);
        Assert.Equal(VmRunState.Prelaunch, (await _vm.Ask<VmStatus>(new GetVmStatus(), s_patience)).RunState);
    }

    [Fact]
    public async Task Parts_of_the_vm_are_not_for_others()
    {
        _inbox = Client(Foreign);
        Send(new GetVcpuStates(), "user/vm/vcpus");
        Send(new GetVmStatus());
        await Receive<VmStatus>();
    }

    [Fact]
    public async Task Remote_deployment_is_refused()
    {
        _inbox = Client(Foreign);
        Send(new GetVmStatus());
        await Receive<VmStatus>();
        Deployed.Made = 0;
        var address = new Address("akka.tcp", "vmm", "127.0.0.1", _port);
        _clients[^1].ActorOf(Props.Create<Deployed>().WithDeploy(new Deploy(new RemoteScope(address))), "deployed");
        Send(new GetVmStatus());
        await Receive<VmStatus>();
        await Task.Delay(200);
        Assert.Equal(0, Deployed.Made);
    }

    private static async Task Until(Func<bool> condition)
    {
        using var patience = new CancellationTokenSource(s_patience);
        while (!condition())
        {
            await Task.Delay(10, patience.Token);
        }
    }

    private sealed class Deployed : ReceiveActor
    {
        public static int Made;

        public Deployed() => Interlocked.Increment(ref Made);
    }

    // A message of another program's: Akka's JSON serializer would make it from the type name.
    private sealed class ForeignRecord
    {
        public static int Made;

        public ForeignRecord(string text, int number)
        {
            (Text, Number) = (text, number);
            Interlocked.Increment(ref Made);
        }

        public string Text { get; }

        public int Number { get; }
    }
}

/// <summary>Bytes that go to the wire as they are, under the protocol serializer's number.</summary>
internal sealed record WireMessage(string Manifest, string Json);

/// <summary>The protocol serializer of a sender that sends anything.</summary>
internal sealed class WireSerializer(ExtendedActorSystem system) : SerializerWithStringManifest(system)
{
    private readonly ProtocolSerializer _protocol = new(system);

    public override int Identifier => _protocol.Identifier;

    public override string Manifest(object o) => o is WireMessage raw ? raw.Manifest : _protocol.Manifest(o);

    public override byte[] ToBinary(object obj) => obj is WireMessage raw ? Encoding.UTF8.GetBytes(raw.Json) : _protocol.ToBinary(obj);

    public override object FromBinary(byte[] bytes, string manifest) => _protocol.FromBinary(bytes, manifest);
}
