using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Memory;
using static Vmm.Emulation.Devices.Pl061.Pl061Spec;

namespace Vmm.Emulation.Devices.Pl061;

/// <summary>
/// The GPIO port with eight pins. A pin is an input, which may interrupt on an edge or a level, or an output, to which nothing is
/// connected. Inputs are low until <see cref="SetInput"/> changes them.
/// </summary>
public sealed partial class Pl061(InterruptLine line) : IMmioDevice
{
    private readonly Lock _lock = new();
    private byte _inputs;
    private byte _outputs;
    private byte _direction;
    private byte _sense;
    private byte _bothEdges;
    private byte _event;
    private byte _enabled;
    private byte _alternate;

    // Edges that have occurred and are not cleared yet.
    private byte _edges;

    // Inputs that are high, and whose rising edge the guest has cleared while the interrupt was enabled.
    private byte _noticed;

    public string Name => "pl061";

    /// <summary>Drives a pin from outside.</summary>
    public void SetInput(int pin, bool level)
    {
        byte bit = (byte)(1 << pin);
        lock (_lock)
        {
            if (level == ((_inputs & bit) != 0))
            {
                return;
            }

            _inputs ^= bit;
            _noticed &= (byte)~bit;
            bool wanted = (_bothEdges & bit) != 0 || level == ((_event & bit) != 0);
            if (wanted && (_direction & bit) == 0)
            {
                _edges |= (byte)(bit & ~_sense);
            }

            Update();
        }
    }

    /// <summary>Whether the host drives a pin high.</summary>
    public bool IsHigh(int pin)
    {
        lock (_lock)
        {
            return (_inputs & (1 << pin)) != 0;
        }
    }

    /// <summary>Whether the guest has taken the interrupt of the rising edge of an input that is still high. Any thread.</summary>
    public bool IsNoticed(int pin)
    {
        lock (_lock)
        {
            return (_noticed & (1 << pin)) != 0;
        }
    }

    public void Reset()
    {
        lock (_lock)
        {
            _inputs = _outputs = _direction = _sense = _bothEdges = _event = _enabled = _alternate = _edges = _noticed = 0;
            Update();
        }
    }

    public ulong Read(ulong offset, int size)
    {
        lock (_lock)
        {
            byte value = offset switch
            {
                < DataEnd => (byte)(Pin & (offset >> 2)),
                GPIODIR => _direction,
                GPIOIS => _sense,
                GPIOIBE => _bothEdges,
                GPIOIEV => _event,
                GPIOIE => _enabled,
                GPIORIS => Raw,
                GPIOMIS => (byte)(Raw & _enabled),
                GPIOAFSEL => _alternate,
                >= Identification and <= 0xFFC => IdentificationBytes[(int)(offset - Identification) >> 2],
                _ => 0,
            };
            return MmioAccess.Truncate(value, size);
        }
    }

    public void Write(ulong offset, int size, ulong value)
    {
        byte b = (byte)value;
        lock (_lock)
        {
            switch (offset)
            {
                case < DataEnd:
                    // Only pins that are outputs and that the address selects are written.
                    byte mask = (byte)((byte)(offset >> 2) & _direction);
                    _outputs = (byte)((_outputs & ~mask) | (b & mask));
                    break;
                case GPIODIR:
                    _direction = b;
                    break;
                case GPIOIS:
                    _sense = b;
                    break;
                case GPIOIBE:
                    _bothEdges = b;
                    break;
                case GPIOIEV:
                    _event = b;
                    break;
                case GPIOIE:
                    _enabled = b;
                    break;
                case GPIOIC:
                    _noticed |= (byte)(b & _edges & _enabled & _inputs);
                    _edges &= (byte)~b;
                    break;
                case GPIOAFSEL:
                    _alternate = b;
                    break;
            }

            Update();
        }
    }

    // The level of each pin.
    private byte Pin => (byte)((_outputs & _direction) | (_inputs & ~_direction));

    // GPIORIS: the edges that have occurred, and the present levels.
    private byte Raw => (byte)((_edges & ~_sense) | (~(Pin ^ _event) & _sense));

    private void Update() => line.Set((Raw & _enabled) != 0);
}
