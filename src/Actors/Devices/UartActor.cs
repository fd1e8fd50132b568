using System.Runtime.CompilerServices;
using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Devices.Pl011;
using Vmm.Emulation.State;

namespace Vmm.Actors.Devices;

/// <summary>
/// The serial line: takes the core's output to a host stream and holds input until the core has room. If the host stream fails,
/// the actor may restart, since the core is handed in.
/// </summary>
public sealed class UartActor : DeviceActor, IWithTimers
{
    // Between unmasking reception and being ready for it, Linux requests its interrupt and empties the FIFO.
    private static readonly TimeSpan s_settling = TimeSpan.FromMilliseconds(100);

    private sealed record OutputReady;

    private sealed record InputRoom;

    private sealed record GuestListens;

    private sealed record GuestSettled;

    private readonly Pl011 _port;
    private readonly Action<ReadOnlyMemory<byte>> _output;
    private readonly Queue<byte[]> _input = [];
    private readonly byte[] _buffer = new byte[4096];
    private int _sent;
    private bool _settling;

    [ModuleInitializer]
    internal static void Register() => DeviceActors.Register<Pl011>((uart, around) =>
        new DeviceActorPlan(ActorProps.Of(() => new UartActor(uart, around.SerialOutput)), typeof(SendSerial)));

    /// <param name="output">Takes the guest's bytes; called in order, on one thread at a time.</param>
    public UartActor(Pl011 port, Action<ReadOnlyMemory<byte>> output)
        : base(port)
    {
        _port = port;
        _output = output;
        Receive<OutputReady>(_ => Drain());
        Receive<InputRoom>(_ =>
        {
            _port.InputRoom.Acknowledge();
            Feed();
        });
        Receive<GuestListens>(_ =>
        {
            _port.Listening.Acknowledge();
            _settling = true;
            Timers.StartSingleTimer("settling", new GuestSettled(), s_settling);
        });
        Receive<GuestSettled>(_ =>
        {
            _settling = false;
            Feed();
        });
        Receive<SendSerial>(send =>
        {
            _input.Enqueue(send.Bytes);
            Feed();
        });
    }

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void PreStart()
    {
        IActorRef self = Self;
        _port.OutputReady.Connect(() => self.Tell(new OutputReady()));
        _port.InputRoom.Connect(() => self.Tell(new InputRoom()));
        _port.Listening.Connect(() => self.Tell(new GuestListens()));
    }

    protected override void PostStop()
    {
        _port.OutputReady.Connect(null);
        _port.InputRoom.Connect(null);
        _port.Listening.Connect(null);
        Drain();
    }

    // Output from before the reset still goes out. Input waits on the line.
    protected override void ResetCore()
    {
        Drain();
        base.ResetCore();
        Feed();
    }

    protected override IReadOnlyList<IStateUnit> StateUnits => [.. base.StateUnits, new InputUnit(this)];

    private void Drain()
    {
        _port.OutputReady.Acknowledge();
        int count;
        while ((count = _port.Drain(_buffer)) > 0)
        {
            _output(_buffer.AsMemory(0, count));
        }
    }

    private void Feed()
    {
        while (!_settling && _input.TryPeek(out byte[]? bytes))
        {
            _sent += _port.Receive(bytes.AsSpan(_sent));
            if (_sent < bytes.Length)
            {
                return;
            }

            _input.Dequeue();
            _sent = 0;
        }
    }

    /// <summary>Input that waits for the guest.</summary>
    private sealed class InputUnit(UartActor actor) : IStateUnit
    {
        private const int LongestInput = 1 << 24;

        public string Id => "uart-input";

        public void Save(StateWriter writer)
        {
            using var input = new MemoryStream();
            foreach (byte[] bytes in actor._input)
            {
                input.Write(bytes);
            }

            writer.Write<byte>("input", input.GetBuffer().AsSpan(actor._sent, (int)input.Length - actor._sent));
        }

        public void Load(StateReader reader)
        {
            byte[] input = reader.ReadArray<byte>("input", LongestInput);
            actor._input.Clear();
            actor._sent = 0;
            if (input.Length > 0)
            {
                actor._input.Enqueue(input);
            }

            actor.Feed();
        }
    }
}
