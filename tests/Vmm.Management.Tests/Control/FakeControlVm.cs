using System.Net.Sockets;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Management.CharacterDevices;
using Vmm.Management.Commands;
using Vmm.Management.Control;

namespace Vmm.Management.Tests.Control;

/// <summary>A VM without a guest and its control socket.</summary>
internal sealed class FakeControlVm : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly SocketDevice _device;
    private readonly Task _serving;

    public FakeControlVm()
    {
        Path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"vmm-control-{Guid.NewGuid():N}");
        _device = new SocketDevice("control", new SocketTarget(Path, "", 0, Server: true, Wait: false) { OwnerOnly = true });
        var config = new MachineConfig(
            CpuModel.Find("cortex-a57")!, 1, new CpuTopology(1, 1, 4, 1), 64 << 20, new BootConfig(default, null, ""));
        Server = new ControlServer(new MonitorVm(config, AnswerAsync, () => Quit.TrySetResult())
        {
            Outcomes = async request =>
            {
                await Outcomes.Task;
                return new HotplugOutcome("core1", 1, HotplugOperations.Of(request), HotplugOutcomeKind.Done, 0);
            },
        });
        _serving = Server.RunAsync(_device, _stop.Token);
    }

    public string Path { get; }

    public ControlServer Server { get; }

    /// <summary>Completed when a client has ended the VM.</summary>
    public TaskCompletionSource Quit { get; } = new();

    /// <summary>Completed: plugs and unplugs end.</summary>
    public TaskCompletionSource Outcomes { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task<ControlClient> ConnectAsync(Action<IProtocolMessage>? happened = null) =>
        ControlClient.ConnectAsync(Path, happened ?? (_ => { }), CancellationToken.None).WaitAsync(Patience.Limit);

    /// <summary>A client that sends bytes of its own.</summary>
    public async Task<NetworkStream> ConnectRawAsync()
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(Path));
        var stream = new NetworkStream(socket, ownsSocket: true);
        Assert.IsType<ControlGreeting>(
            (await ControlFrame.ReadAsync(stream, ControlFrame.LargestAnswer, default).WaitAsync(Patience.Limit))!.Message);
        return stream;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _serving.WaitAsync(Patience.Limit);
        await _device.DisposeAsync();
        _stop.Dispose();
    }

    private static async Task<IProtocolMessage> AnswerAsync(IProtocolMessage message)
    {
        await Task.Yield();
        return message switch
        {
            GetVmStatus => new VmStatus(VmRunState.Running, ""),
            ReadGuestMemory read => new GuestMemoryRead(new byte[Math.Clamp(read.Length, 0, ReadGuestMemory.Longest)]),
            StopVm => throw new InvalidOperationException("a defect"),
            _ => new VmCommandRejected(RejectionCode.NotSupported, message.GetType().Name),
        };
    }
}
