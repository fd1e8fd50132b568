using Vmm.Emulation.State;
using static Vmm.Emulation.Devices.CfiFlash.CfiFlashSpec;

namespace Vmm.Emulation.Devices.CfiFlash;

public sealed partial class CfiFlash : IStateUnit
{
    string IStateUnit.Id => Name;

    /// <summary>
    /// Saves the registers and those sectors that are not empty. The contents of a read-only bank belong to the configuration.
    /// </summary>
    public void Save(StateWriter writer)
    {
        lock (_lock)
        {
            writer.Write("mode", (byte)_mode);
            writer.Write("step", (byte)_step);
            writer.Write("errors", _errors);
            writer.Write("count", _count);
            writer.Write("block", _block);
            writer.Write<byte>("buffer", _buffer);
            writer.Write<byte>("locks", _locks);
            ushort[] sectors = _readOnly ? [] : [.. Enumerable.Range(0, _locks.Length).Where(s => !IsZero(s)).Select(s => (ushort)s)];
            writer.Write<ushort>("sectors", sectors);
            foreach (ushort sector in sectors)
            {
                writer.Write<byte>($"sector{sector}", Sector(sector));
            }
        }
    }

    /// <summary>Loads the state. A bank with a file then writes all of it back.</summary>
    public void Load(StateReader reader)
    {
        lock (_lock)
        {
            var mode = (ReadMode)reader.Read<byte>("mode");
            reader.Require(mode <= ReadMode.Query, "mode");
            _step = (Step)reader.Read<byte>("step");
            reader.Require(_step <= Step.BufferConfirm, "step");
            _errors = reader.Read<byte>("errors");
            reader.Require((_errors & Ready) == 0, "errors");
            _count = reader.Read<int>("count");
            reader.Require(_count >= 0 && (_step != Step.BufferData || _count is > 0 and <= BufferSize / BusWidth), "count");
            _block = reader.Read<int>("block");
            reader.Require(_block == -1 || (_block >= 0 && _block <= Size - BufferSize && _block % BufferSize == 0), "block");
            reader.Require(_block >= 0 || _step != Step.BufferConfirm, "block");
            reader.Read("buffer", _buffer.AsSpan());
            reader.Read("locks", _locks.AsSpan());
            reader.Require(Array.TrueForAll(_locks, l => l <= BlockLockedDown), "locks");
            ushort[] sectors = reader.ReadArray<ushort>("sectors", _readOnly ? 0 : _locks.Length);
            reader.Require(Array.TrueForAll(sectors, s => s < _locks.Length), "sectors");
            if (!_readOnly)
            {
                _memory.Zero(_memory.Start, _memory.Size);
                foreach (ushort sector in sectors)
                {
                    reader.Read($"sector{sector}", Sector(sector));
                }

                Changed(0, Size);
            }

            SetMode(mode);
        }

        WriteBackReady.Ring();
    }

    private bool IsZero(int sector) => !Sector(sector).ContainsAnyExcept((byte)0);

    private Span<byte> Sector(int sector) => Bytes(sector * SectorSize, SectorSize);
}
