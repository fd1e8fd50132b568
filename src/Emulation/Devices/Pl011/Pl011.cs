using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Memory;
using static Vmm.Emulation.Devices.Pl011.Pl011Spec;

namespace Vmm.Emulation.Devices.Pl011;

/// <summary>
/// The serial port. Output of the guest goes into a ring that the owner drains; while the ring is full the guest sees UARTFR.TXFF. Output
/// does not depend on UARTCR.UARTEN, because the SBSA driver never sets it. Input waits at the owner until the guest listens, which it
/// shows when it unmasks a receive interrupt or polls UARTFR or UARTRIS. Linux empties the FIFO when it opens the port, so earlier input
/// would be lost.
/// </summary>
public sealed partial class Pl011(InterruptLine line) : IMmioDevice
{
    private const int OutputCapacity = 64 * 1024;

    // The number of reads of UARTFR or UARTRIS in a row that show a guest waiting for input. A guest that sends reads UARTFR twice for each
    // byte.
    private const int PollsThatListen = 16;

    private readonly Lock _lock = new();
    private readonly byte[] _output = new byte[OutputCapacity];
    private readonly Queue<byte> _input = new(FifoDepth);
    private int _outputStart;
    private int _outputCount;
    private bool _overrun;
    private bool _listens;
    private int _polls;
    private uint _raw;
    private uint _mask;
    private uint _lineControl;
    private uint _control = ControlReset;
    private uint _fifoLevels = 0x12;
    private uint _integerBaud;
    private uint _fractionalBaud;
    private uint _lowPower;
    private uint _dma;

    /// <summary>Rings when there is output to drain.</summary>
    public Doorbell OutputReady { get; } = new();

    /// <summary>Rings when there is room for input again.</summary>
    public Doorbell InputRoom { get; } = new();

    /// <summary>Rings when the guest has begun to listen.</summary>
    public Doorbell Listening { get; } = new();

    public string Name => "pl011";

    /// <summary>Takes output of the guest, and returns the number of bytes.</summary>
    public int Drain(Span<byte> buffer)
    {
        lock (_lock)
        {
            int count = Math.Min(buffer.Length, _outputCount);
            for (int i = 0; i < count; i++)
            {
                buffer[i] = _output[(_outputStart + i) % OutputCapacity];
            }

            _outputStart = (_outputStart + count) % OutputCapacity;
            _outputCount -= count;
            if (count > 0)
            {
                _raw |= InterruptTransmit;
                Update();
            }

            return count;
        }
    }

    /// <summary>Puts as many bytes of input into the FIFO as it has room for, and returns their number.</summary>
    public int Receive(ReadOnlySpan<byte> bytes)
    {
        lock (_lock)
        {
            int count = _listens ? Math.Min(bytes.Length, InputDepth - _input.Count) : 0;
            for (int i = 0; i < count; i++)
            {
                _input.Enqueue(bytes[i]);
            }

            if (count > 0)
            {
                // The line goes idle right after the last byte, so the time-out comes with it.
                _raw |= InterruptReceiveTimeout | (_input.Count >= ReceiveTrigger ? InterruptReceive : 0);
                Update();
            }

            return Math.Max(count, 0);
        }
    }

    public void Reset()
    {
        lock (_lock)
        {
            _input.Clear();
            _overrun = _listens = false;
            _raw = _mask = _lineControl = _integerBaud = _fractionalBaud = _lowPower = _dma = 0;
            _control = ControlReset;
            _fifoLevels = 0x12;
            Update();
        }
    }

    public ulong Read(ulong offset, int size)
    {
        bool room = false;
        bool began;
        ulong value;
        lock (_lock)
        {
            // EDK2 reads UARTCR between two polls.
            _polls = offset is UARTFR or UARTRIS ? _polls + 1 : offset == UARTDR ? 0 : _polls;
            began = _polls >= PollsThatListen && Listen();
            value = offset switch
            {
                UARTDR => ReadData(out room),
                UARTRSR => _overrun ? StatusOverrun : 0,
                UARTFR => FlagRegister,
                UARTILPR => _lowPower,
                UARTIBRD => _integerBaud,
                UARTFBRD => _fractionalBaud,
                UARTLCR_H => _lineControl,
                UARTCR => _control,
                UARTIFLS => _fifoLevels,
                UARTIMSC => _mask,
                UARTRIS => _raw,
                UARTMIS => _raw & _mask,
                UARTDMACR => _dma,
                >= Identification and <= 0xFFC => IdentificationBytes[(int)(offset - Identification) >> 2],
                _ => 0,
            };
        }

        value = MmioAccess.Truncate(value, size);
        if (room)
        {
            InputRoom.Ring();
        }

        if (began)
        {
            Listening.Ring();
        }

        return value;
    }

    public void Write(ulong offset, int size, ulong value)
    {
        uint v = (uint)value;
        bool output = false;
        bool began = false;
        lock (_lock)
        {
            _polls = 0;
            switch (offset)
            {
                case UARTDR:
                    output = WriteData((byte)v);
                    break;
                case UARTRSR:
                    _overrun = false;
                    break;
                case UARTILPR:
                    _lowPower = v & 0xFF;
                    break;
                case UARTIBRD:
                    _integerBaud = v & 0xFFFF;
                    break;
                case UARTFBRD:
                    _fractionalBaud = v & 0x3F;
                    break;
                case UARTLCR_H:
                    _lineControl = v & 0xFF;
                    break;
                case UARTCR:
                    _control = v & 0xFFFF;
                    break;
                case UARTIFLS:
                    _fifoLevels = v & 0x3F;
                    break;
                case UARTIMSC:
                    _mask = v & InterruptMask;
                    began = (v & (InterruptReceive | InterruptReceiveTimeout)) != 0 && Listen();
                    break;
                case UARTICR:
                    _raw &= ~v;
                    break;
                case UARTDMACR:
                    _dma = v & 7;
                    break;
            }

            Update();
        }

        if (output)
        {
            OutputReady.Ring();
        }

        if (began)
        {
            Listening.Ring();
        }
    }

    // Returns true if the guest did not listen before.
    private bool Listen()
    {
        bool began = !_listens;
        _listens = true;
        return began;
    }

    private int InputDepth => (_lineControl & LineFifosEnabled) != 0 ? FifoDepth : 1;

    // UARTIFLS.RXIFLSEL: the FIFO is an eighth, a quarter, a half, three quarters or seven eighths full.
    private int ReceiveTrigger => InputDepth == 1 ? 1 : ((_fifoLevels >> 3) & 7) switch { 0 => 2, 1 => 4, 2 => 8, 3 => 12, _ => 14 };

    private uint FlagRegister =>
        (_input.Count == 0 ? FlagReceiveEmpty : 0)
        | (_input.Count >= InputDepth ? FlagReceiveFull : 0)
        | (_outputCount == OutputCapacity ? FlagTransmitFull : 0)
        | (_outputCount < OutputCapacity ? FlagTransmitEmpty : 0);

    private uint ReadData(out bool room)
    {
        room = _input.TryDequeue(out byte b);
        uint data = b | (_overrun ? DataOverrun : 0);
        _overrun = false;
        if (_input.Count == 0)
        {
            _raw &= ~(InterruptReceive | InterruptReceiveTimeout);
        }
        else if (_input.Count < ReceiveTrigger)
        {
            _raw &= ~InterruptReceive;
        }

        Update();
        return data;
    }

    // Returns true if the owner has output to drain.
    private bool WriteData(byte b)
    {
        if ((_control & ControlLoopback) != 0)
        {
            _raw |= InterruptTransmit;
            if (_input.Count < InputDepth)
            {
                _input.Enqueue(b);
                _raw |= InterruptReceiveTimeout | (_input.Count >= ReceiveTrigger ? InterruptReceive : 0);
            }
            else
            {
                _overrun = true;
                _raw |= InterruptOverrun;
            }

            return false;
        }

        if (_outputCount == OutputCapacity)
        {
            return true;
        }

        _output[(_outputStart + _outputCount) % OutputCapacity] = b;
        _outputCount++;
        if (_outputCount < OutputCapacity)
        {
            // The byte is sent at once, so the transmit FIFO is empty again.
            _raw |= InterruptTransmit;
        }

        return true;
    }

    private void Update() => line.Set((_raw & _mask) != 0);
}
