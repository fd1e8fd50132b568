using System.Buffers.Binary;
using System.Text;
using Vmm.Emulation.Memory;
using Vmm.Emulation.State;
using static Vmm.Emulation.Devices.Virtio.Serial.VirtioSerialSpec;

namespace Vmm.Emulation.Devices.Virtio.Serial;

/// <summary>
/// The core of a console with ports (Virtual I/O Device 1.2, section 5.3). <see cref="Serve"/> moves bytes between the rings and the
/// <see cref="PortLink"/> of each port, as far as both have room, and answers the driver's control messages. One caller at a time, the
/// device's actor.
/// </summary>
public sealed class VirtioSerial : VirtioDevice
{
    // Bytes of a chain that are moved at once.
    private const int PieceSize = 4096;

    // Control messages that wait for the driver's buffers, at most. It has asked for all of them.
    private const int MostControl = 256;

    private readonly VirtioSerialConfig _config;
    private readonly byte[] _space = new byte[ConfigurationSize];

    // The ports by their numbers, made anew when one comes or goes: by whoever calls Serve. vCPUs read it.
    private volatile Port[] _ports;

    // The driver has reset the device, and whoever calls Serve has not seen it.
    private int _wasReset;

    // All that follows belongs to whoever calls Serve, or saves or loads while nobody does.
    private readonly byte[] _piece = new byte[PieceSize];
    private readonly Queue<byte[]> _control = [];
    private readonly Held _controlOut = new();
    private readonly Held _controlIn = new();
    private WorkBound _bound;

    public VirtioSerial(IDmaMemory memory, VirtioSerialConfig config)
        : base(memory, FeaturesOf(config), [.. SizesOf(config.PortCount)])
    {
        _config = config;
        _ports = [.. config.Ports.Select(p => new Port(p))];
        BinaryPrimitives.WriteInt32LittleEndian(_space.AsSpan(VirtioSerialSpec.Ports), config.PortCount);
    }

    /// <summary>A chain that was taken from a ring, and how much of it is done.</summary>
    private sealed class Held
    {
        public DescriptorChain Chain { get; } = new();

        public bool Is { get; set; }

        public ulong Done { get; set; }
    }

    private sealed class Port(SerialPortConfig config)
    {
        public SerialPortConfig Config => config;

        public int Number => config.Number;

        /// <summary>Output that has not gone on as a whole.</summary>
        public Held Output { get; } = new();

        public Held Input { get; } = new();

        /// <summary>Whether a program of the guest has it open.</summary>
        public bool IsGuestOpen { get; set; }

        /// <summary>Whether the guest was told that somebody is at the host's end.</summary>
        public bool ToldHostOpen { get; set; }

        /// <summary>Whether the driver knows the port.</summary>
        public bool IsReady { get; set; }
    }

    public override string Name => "virtio-serial";

    public override VirtioDeviceId DeviceId => VirtioDeviceId.Console;

    public VirtioSerialConfig Config => _config;

    /// <summary>Is told when a program of the guest opens or closes a port. Set before anything runs.</summary>
    public Action<SerialPortConfig, bool>? GuestOpened { get; set; }

    /// <summary>The ports that there are. Any thread.</summary>
    public IEnumerable<SerialPortConfig> PresentPorts => _ports.Select(p => p.Config);

    /// <summary>The ports, and whether a program of the guest has each open. Any thread.</summary>
    public IReadOnlyList<(SerialPortConfig Port, bool IsGuestOpen)> PortStates => [.. _ports.Select(p => (p.Config, p.IsGuestOpen))];

    protected override Span<byte> Configuration => _space;

    protected override IReadOnlyList<(string Name, object Value)> OwnProperties => [("max_ports", _config.PortCount)];

    /// <summary>Adds a port while the device works, and tells the driver. By whoever calls <see cref="Serve"/>.</summary>
    /// <returns>Why it cannot be added, in QEMU's words; null where it was.</returns>
    public string? AddPort(SerialPortConfig port)
    {
        if (port.Number >= _config.PortCount || _config.PortCount == 1)
        {
            return "virtio-serial-bus: Maximum port limit for this device reached";
        }

        if (Array.Exists(_ports, p => p.Number == port.Number))
        {
            return $"virtio-serial-bus: A port already exists at id {port.Number}";
        }

        if (_control.Count >= MostControl)
        {
            return "virtio-serial-bus: the guest does not take what it was told of ports before";
        }

        var added = new Port(port);
        _ports = [.. _ports.Append(added).OrderBy(p => p.Number)];
        TellDriver(added, PortAdd);
        return null;
    }

    /// <summary>Takes a port away while the device works, and tells the driver. By whoever calls <see cref="Serve"/>.</summary>
    public void RemovePort(SerialPortConfig config)
    {
        if (Array.Find(_ports, p => p.Config == config) is { } port)
        {
            SetGuestOpen(port, false);
            DropOne(QueueOut(port.Number), port.Output);
            DropOne(QueueIn(port.Number), port.Input);
            _ports = [.. _ports.Where(p => p != port)];
            TellDriver(port, PortRemove);
        }
    }

    /// <summary>
    /// Moves what can be moved, and interrupts for it. What waits for room at the host's end goes on when <see cref="PortLink.Connect"/>
    /// tells of it.
    /// </summary>
    /// <returns>Whether there may be more to do.</returns>
    /// <exception cref="MissingPageException">A page has not arrived; to be called again.</exception>
    public bool Serve()
    {
        if (IsResetting)
        {
            Drop();
        }

        SeeReset();
        _bound.Begin();
        while (TakeControl() | GiveControl())
        {
        }

        // A port that has much to do takes nothing from the others.
        bool more = _bound.IsReached;
        foreach (Port port in _ports)
        {
            _bound.Begin();
            SendOutput(port);
            more |= _bound.IsReached;
            _bound.Begin();
            GiveInput(port);
            more |= _bound.IsReached;
            TellHost(port);
        }

        _bound.Begin();
        _ = GiveControl();
        return more || _bound.IsReached;
    }

    /// <summary>Power-on state. What was taken goes back to nobody.</summary>
    public override void Reset()
    {
        foreach (Held held in All)
        {
            held.Is = false;
        }

        base.Reset();
        SeeReset();
    }

    protected override void AcceptConfiguration(int offset, int size, ulong value)
    {
        // A character for when nothing else works: it goes to the first port without a ring (5.3.4).
        if (offset == EmergencyCharacter && _ports is [var first, ..])
        {
            first.Config.Link.Send([(byte)value]);
        }
    }

    protected override void ResetRegisters() => Interlocked.Exchange(ref _wasReset, 1);

    // The second version has the numbers of the ports.
    protected override int SchemaVersion => 2;

    protected override void SaveRegisters(StateWriter writer)
    {
        SeeReset();
        writer.Write<byte>("ports", [.. _ports.Select(p => (byte)p.Number)]);
        writer.Write<byte>("open", [.. _ports.Select(p => (byte)(p.IsGuestOpen ? 1 : 0))]);
        writer.Write<byte>("told", [.. _ports.Select(p => (byte)(p.ToldHostOpen ? 1 : 0))]);
        writer.Write<byte>("ready", [.. _ports.Select(p => (byte)(p.IsReady ? 1 : 0))]);
        writer.Write<ushort>("control-lengths", [.. _control.Select(c => (ushort)c.Length)]);
        writer.Write<byte>("control", [.. _control.SelectMany(c => c)]);
        for (int i = 0; i < _ports.Length; i++)
        {
            Held output = _ports[i].Output;
            writer.Write<byte>($"input{i}", _ports[i].Config.Link.Input);
            writer.Write($"holds{i}", (byte)(output.Is ? 1 : 0));
            writer.Write($"done{i}", output.Done);
            if (output.Is)
            {
                output.Chain.Save(writer, i);
            }
        }
    }

    protected override void LoadRegisters(StateReader reader)
    {
        int count = _ports.Length;
        if (reader.Version > 1)
        {
            byte[] ports = reader.ReadArray<byte>("ports", VirtioSerialConfig.MostPorts);
            reader.Require(ports.SequenceEqual(_ports.Select(p => (byte)p.Number)), "ports");
        }

        foreach (Held held in All)
        {
            held.Is = false;
        }

        _wasReset = 0;
        byte[] open = Flags(reader, "open", count);
        byte[] told = Flags(reader, "told", count);
        byte[] ready = Flags(reader, "ready", count);
        ushort[] lengths = reader.ReadArray<ushort>("control-lengths", 2 * MostControl);
        byte[] control = reader.ReadArray<byte>("control", 2 * MostControl * (ControlSize + byte.MaxValue));
        reader.Require(control.Length == lengths.Sum(l => l), "control");
        _control.Clear();
        int at = 0;
        foreach (ushort length in lengths)
        {
            _control.Enqueue(control[at..(at + length)]);
            at += length;
        }

        for (int i = 0; i < count; i++)
        {
            Port port = _ports[i];
            (port.ToldHostOpen, port.IsReady) = (told[i] != 0, ready[i] != 0);
            port.Config.Link.Input = reader.ReadArray<byte>($"input{i}", PortLink.Capacity);
            SetGuestOpen(port, open[i] != 0);
            bool holds = reader.Read<byte>($"holds{i}") != 0;
            port.Output.Done = reader.Read<ulong>($"done{i}");
            if (holds)
            {
                port.Output.Chain.Load(reader, i, Memory.IsRam);
                port.Output.Is = true;
                Adopt(QueueOut(port.Number));
            }
        }
    }

    private IEnumerable<Held> All => _ports.SelectMany(p => new[] { p.Output, p.Input }).Append(_controlIn).Append(_controlOut);

    private static byte[] Flags(StateReader reader, string name, int count)
    {
        byte[] flags = new byte[count];
        reader.Read(name, flags.AsSpan());
        reader.Require(Array.TrueForAll(flags, f => f <= 1), name);
        return flags;
    }

    private static ulong FeaturesOf(VirtioSerialConfig config) =>
        (ulong)config.Rings | EmergencyWrite | (config.PortCount > 1 ? ManyPorts : 0);

    private static IEnumerable<int> SizesOf(int ports)
    {
        for (int queue = 0; queue < (ports > 1 ? (ports + 1) * 2 : 2); queue++)
        {
            yield return queue is ControlIn or ControlOut ? ControlQueueSize : QueueSize;
        }
    }

    // What the driver has forgotten by a reset. It comes before anything of the driver that begins anew.
    private void SeeReset()
    {
        if (Interlocked.Exchange(ref _wasReset, 0) == 0)
        {
            return;
        }

        _control.Clear();
        foreach (Port port in _ports)
        {
            (port.IsReady, port.ToldHostOpen) = (false, false);
            SetGuestOpen(port, false);
        }
    }

    // The driver resets the device: what was taken goes back, so that the reset ends.
    private void Drop()
    {
        foreach (Port port in _ports)
        {
            DropOne(QueueOut(port.Number), port.Output);
            DropOne(QueueIn(port.Number), port.Input);
        }

        DropOne(ControlOut, _controlOut);
        DropOne(ControlIn, _controlIn);
    }

    private void DropOne(int queue, Held held)
    {
        if (held.Is)
        {
            Give(queue, held.Chain, 0);
            held.Is = false;
        }
    }

    private bool Next(int queue, Held held)
    {
        if (!held.Is && TryTake(queue, held.Chain))
        {
            (held.Is, held.Done) = (true, 0);
        }

        return held.Is;
    }

    private void GiveBack(int queue, Held held, uint written)
    {
        Give(queue, held.Chain, written);
        held.Is = false;
    }

    private bool TakeControl()
    {
        Span<byte> message = stackalloc byte[ControlSize];
        bool any = false;
        do
        {
            while (MayTakeControl && Next(ControlOut, _controlOut))
            {
                SeeReset();
                _bound.SpendChain();

                // A message that is too short says nothing.
                DescriptorChain chain = _controlOut.Chain;
                if (_controlOut.Done == 0 && chain.ReadableLength >= ControlSize && chain.TryRead(Memory, 0, message))
                {
                    Control(
                        BinaryPrimitives.ReadUInt32LittleEndian(message),
                        BinaryPrimitives.ReadUInt16LittleEndian(message[ControlEvent..]),
                        BinaryPrimitives.ReadUInt16LittleEndian(message[ControlValue..]));
                }

                _controlOut.Done = 1;
                GiveBack(ControlOut, _controlOut, 0);
                Interrupt(ControlOut);
                any = true;
            }
        }
        while (MayTakeControl && AllowNotifications(ControlOut));
        return any;
    }

    private bool MayTakeControl => QueueCount > ControlOut && _control.Count < MostControl && !_bound.IsReached;

    // What the driver says (5.3.6.2).
    private void Control(uint number, ushort what, ushort value)
    {
        if (what == DeviceReady)
        {
            foreach (Port added in _ports.Where(_ => value == 1))
            {
                Tell(added, PortAdd, 1);
            }

            return;
        }

        if (Array.Find(_ports, p => p.Number == number) is not { } port)
        {
            return;
        }

        if (what == PortOpen)
        {
            SetGuestOpen(port, value != 0);
        }
        else if (what == PortReady && value == 1)
        {
            port.IsReady = true;
            port.ToldHostOpen = false;
            if (port.Config.IsConsole)
            {
                Tell(port, ConsolePort, 1);
            }

            if (port.Config.Name.Length > 0)
            {
                Tell(port, PortName, 1, Encoding.UTF8.GetBytes(port.Config.Name));
            }
        }
    }

    private void Tell(Port port, ushort what, ushort value, ReadOnlySpan<byte> more = default)
    {
        byte[] message = new byte[ControlSize + more.Length];
        BinaryPrimitives.WriteInt32LittleEndian(message, port.Number);
        BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(ControlEvent), what);
        BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(ControlValue), value);
        more.CopyTo(message.AsSpan(ControlSize));
        _control.Enqueue(message);
    }

    // A driver that has not begun asks for the ports.
    private void TellDriver(Port port, ushort what)
    {
        if ((Status & VirtioStatus.DriverOk) != 0)
        {
            Tell(port, what, 1);
        }
    }

    private void TellHost(Port port)
    {
        bool isOpen = port.Config.Link.IsHostOpen;
        if (port.IsReady && isOpen != port.ToldHostOpen && _control.Count < MostControl)
        {
            port.ToldHostOpen = isOpen;
            Tell(port, PortOpen, (ushort)(isOpen ? 1 : 0));
        }
    }

    private void SetGuestOpen(Port port, bool value)
    {
        if (port.IsGuestOpen != value)
        {
            port.IsGuestOpen = value;
            GuestOpened?.Invoke(port.Config, value);
        }
    }

    private bool GiveControl()
    {
        bool any = false;
        while (!_bound.IsReached && _control.TryPeek(out byte[]? message) && Next(ControlIn, _controlIn))
        {
            _bound.SpendChain();

            // A buffer that is too small gets nothing (QEMU).
            bool fits = _controlIn.Chain.WritableLength >= (ulong)message.Length;
            if (fits && !_controlIn.Chain.TryWrite(Memory, message))
            {
                Fail("a buffer that is not RAM");
            }

            GiveBack(ControlIn, _controlIn, fits ? (uint)message.Length : 0);
            _control.Dequeue();
            Interrupt(ControlIn);
            any = true;
        }

        if (!_bound.IsReached && _control.Count > 0 && !_controlIn.Is && AllowNotifications(ControlIn))
        {
            any = true;
        }

        return any;
    }

    private bool HasQueue(int queue) => queue < QueueCount;

    private void SendOutput(Port port)
    {
        int queue = QueueOut(port.Number);
        do
        {
            while (!_bound.IsReached && HasQueue(queue) && Next(queue, port.Output))
            {
                Held held = port.Output;
                _bound.SpendChain();
                while (held.Done < held.Chain.ReadableLength)
                {
                    if (_bound.IsReached)
                    {
                        return;
                    }

                    int room = Math.Min(port.Config.Link.OutputRoom, PieceSize);
                    int count = (int)Math.Min((ulong)room, held.Chain.ReadableLength - held.Done);
                    if (count == 0)
                    {
                        return;
                    }

                    if (!held.Chain.TryRead(Memory, held.Done, _piece.AsSpan(0, count)))
                    {
                        Fail("a buffer that is not RAM");
                        break;
                    }

                    port.Config.Link.Send(_piece.AsSpan(0, count));
                    held.Done += (ulong)count;
                    _bound.Spend(count);
                }

                GiveBack(queue, held, 0);
                Interrupt(queue);
            }
        }
        while (!_bound.IsReached && HasQueue(queue) && AllowNotifications(queue));
    }

    // Input waits until a program of the guest has the port open; without ports there is none to open.
    private void GiveInput(Port port)
    {
        int queue = QueueIn(port.Number);
        bool given = false;
        do
        {
            while (!_bound.IsReached && HasQueue(queue) && TakesInput(port) && port.Config.Link.Peek(_piece) is var count && count > 0
                && Next(queue, port.Input))
            {
                count = (int)Math.Min((ulong)count, port.Input.Chain.WritableLength);
                if (!port.Input.Chain.TryWrite(Memory, _piece.AsSpan(0, count)))
                {
                    Fail("a buffer that is not RAM");
                    count = 0;
                }

                GiveBack(queue, port.Input, (uint)count);
                port.Config.Link.Take(count);
                _bound.SpendChain();
                given = true;
            }

            if (given)
            {
                Interrupt(queue);
            }
        }
        while (!_bound.IsReached && HasQueue(queue) && port.Config.Link.Peek(_piece.AsSpan(0, 1)) > 0 && TakesInput(port)
            && AllowNotifications(queue));
    }

    private bool TakesInput(Port port) => port.IsGuestOpen || !Negotiated(ManyPorts);
}
