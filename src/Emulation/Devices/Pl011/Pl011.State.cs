using Vmm.Emulation.State;
using static Vmm.Emulation.Devices.Pl011.Pl011Spec;

namespace Vmm.Emulation.Devices.Pl011;

public sealed partial class Pl011 : IStateUnit
{
    // 2: polls.
    int IStateUnit.SchemaVersion => 2;

    string IStateUnit.Id => Name;

    public void Save(StateWriter writer)
    {
        lock (_lock)
        {
            writer.Write("raw", _raw);
            writer.Write("mask", _mask);
            writer.Write("line-control", _lineControl);
            writer.Write("control", _control);
            writer.Write("fifo-levels", _fifoLevels);
            writer.Write("integer-baud", _integerBaud);
            writer.Write("fractional-baud", _fractionalBaud);
            writer.Write("low-power", _lowPower);
            writer.Write("dma", _dma);
            writer.Write("overrun", (byte)(_overrun ? 1 : 0));
            writer.Write("listens", (byte)(_listens ? 1 : 0));
            writer.Write("polls", _polls);
            writer.Write<byte>("input", _input.ToArray());
            var output = new byte[_outputCount];
            for (int i = 0; i < output.Length; i++)
            {
                output[i] = _output[(_outputStart + i) % OutputCapacity];
            }

            writer.Write<byte>("output", output);
        }
    }

    public void Load(StateReader reader)
    {
        lock (_lock)
        {
            _raw = reader.Read<uint>("raw");
            _mask = reader.Read<uint>("mask");
            _lineControl = reader.Read<uint>("line-control");
            _control = reader.Read<uint>("control");
            _fifoLevels = reader.Read<uint>("fifo-levels");
            _integerBaud = reader.Read<uint>("integer-baud");
            _fractionalBaud = reader.Read<uint>("fractional-baud");
            _lowPower = reader.Read<uint>("low-power");
            _dma = reader.Read<uint>("dma");
            _overrun = reader.Read<byte>("overrun") != 0;
            _listens = reader.Read<byte>("listens") != 0;
            _polls = reader.Version >= 2 ? reader.Read<int>("polls") : 0;
            _input.Clear();
            foreach (byte b in reader.ReadArray<byte>("input", FifoDepth))
            {
                _input.Enqueue(b);
            }

            byte[] output = reader.ReadArray<byte>("output", OutputCapacity);
            output.CopyTo(_output, 0);
            _outputStart = 0;
            _outputCount = output.Length;
            Update();
        }

        OutputReady.Ring();
        InputRoom.Ring();
    }
}
