using Vmm.Emulation.Memory;
using Vmm.Emulation.State;
using static Vmm.Emulation.Interrupts.GicV3.GicSpec;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <content>
/// The LPIs of the CPU (IHI 0069, 5.1). Which are pending is kept here while GICR_CTLR.EnableLPIs is set; it is read from the guest's table
/// when the bit is set and written there when it is cleared.
/// </content>
public sealed partial class Redistributor
{
    private const ulong TableAddress = 0x000F_FFFF_FFFF_F000;
    private const ulong PendingAddress = 0x000F_FFFF_FFFF_0000;
    private const int IdBitsMask = 0x1F;

    // Null while LPIs are not enabled.
    private LpiSet? _lpis;
    private ulong _properties;
    private ulong _pendings;

    // The number behind the last LPI: that of the configuration table, and no more than 16 bits have.
    private int EndOfLpis => 1 << Math.Min((int)(_properties & IdBitsMask) + 1, 16);

    private ulong PropertyTable => _properties & TableAddress;

    internal LpiSet? LpisLocked => _lpis;

    /// <summary>Makes an LPI pending, or not. It is lost while LPIs are not enabled.</summary>
    internal void SetLpiLocked(int id, bool pending)
    {
        if (_lpis is not { } lpis || id >= EndOfLpis)
        {
            return;
        }

        if (pending)
        {
            lpis.Add(id);
        }
        else
        {
            lpis.Remove(id);
        }

        _cpu.UpdateLocked();
    }

    /// <summary>Moves an LPI, or all, to another CPU, if they are pending and can be there.</summary>
    internal void MoveLpisLocked(Redistributor to, int? only)
    {
        if (_lpis is not { } lpis || to._lpis is not { } others || to == this)
        {
            return;
        }

        if (only is { } id)
        {
            if (lpis.Remove(id))
            {
                others.Add(id);
            }
        }
        else
        {
            foreach (int pending in lpis)
            {
                lpis.Remove(pending);
                others.Add(pending);
            }
        }

        _cpu.UpdateLocked();
        to._cpu.UpdateLocked();
    }

    /// <summary>Reads the configuration of an LPI, or of all, from the table of this CPU.</summary>
    internal void LoadLpisLocked(LpiConfiguration configuration, IDmaMemory memory, int? only)
    {
        if (_lpis == null)
        {
            return;
        }

        if (only is { } id)
        {
            configuration.Load(memory, PropertyTable, EndOfLpis, id);
        }
        else
        {
            configuration.Load(memory, PropertyTable, EndOfLpis);
        }
    }

    internal void AcknowledgeLpiLocked(int id) => _lpis?.Remove(id);

    private void WriteControlLocked(uint value)
    {
        bool enable = (value & EnableLpis) != 0;
        if (_gic.LpiMemory is not { } memory || enable == (_lpis != null))
        {
            return;
        }

        if (!enable)
        {
            WritePending(memory);
            _lpis = null;
            return;
        }

        LpiConfiguration configuration = _gic.LpisLocked;
        var lpis = new LpiSet(configuration);
        ReadPending(memory, lpis);
        configuration.Load(memory, PropertyTable, EndOfLpis);
        lpis.Reconsider();
        _lpis = lpis;
    }

    private void WritePropertiesLocked(int word, uint value)
    {
        if (_lpis == null)
        {
            _properties = Merge(_properties, word, value) & PropertiesWritable;
        }
    }

    private void WritePendingsLocked(int word, uint value)
    {
        if (_lpis == null)
        {
            _pendings = Merge(_pendings, word, value) & PendingsWritable;
        }
    }

    private void ReadPending(IDmaMemory memory, LpiSet lpis)
    {
        int end = EndOfLpis;
        if ((_pendings & PendingTableZero) != 0 || end <= ItsSpec.FirstLpi)
        {
            return;
        }

        byte[] table = new byte[(end - ItsSpec.FirstLpi) / 8];
        if (memory.TryRead((_pendings & PendingAddress) + (ItsSpec.FirstLpi / 8), table))
        {
            for (int i = 0; i < table.Length * 8; i++)
            {
                if ((table[i / 8] & (1 << (i % 8))) != 0)
                {
                    lpis.Add(ItsSpec.FirstLpi + i);
                }
            }
        }
    }

    private void WritePending(IDmaMemory memory)
    {
        int end = EndOfLpis;
        if (end <= ItsSpec.FirstLpi)
        {
            return;
        }

        byte[] table = new byte[(end - ItsSpec.FirstLpi) / 8];
        foreach (int id in _lpis!)
        {
            // The guest may have made the range smaller meanwhile.
            if (id < end)
            {
                table[(id - ItsSpec.FirstLpi) / 8] |= (byte)(1 << (id % 8));
            }
        }

        memory.TryWrite((_pendings & PendingAddress) + (ItsSpec.FirstLpi / 8), table);
    }

    private static ulong Merge(ulong register, int word, uint value) =>
        word == 0 ? (register & ~(ulong)uint.MaxValue) | value : (register & uint.MaxValue) | ((ulong)value << 32);

    private void ResetLpisLocked()
    {
        _lpis = null;
        _properties = _pendings = 0;
    }

    private void SaveLpisLocked(StateWriter writer)
    {
        var pending = new List<ushort>();
        if (_lpis is { } lpis)
        {
            foreach (int id in lpis)
            {
                pending.Add((ushort)id);
            }
        }

        writer.Write<ulong>($"{_cpu.Index}.lpi-tables", [_properties, _pendings]);
        writer.Write($"{_cpu.Index}.lpis-enabled", _lpis != null);
        writer.Write<ushort>($"{_cpu.Index}.lpis", [.. pending]);
    }

    private void LoadLpisLocked(StateReader reader)
    {
        Span<ulong> tables = stackalloc ulong[2];
        reader.Read($"{_cpu.Index}.lpi-tables", tables);
        byte enabled = reader.Read<byte>($"{_cpu.Index}.lpis-enabled");
        ushort[] pending = reader.ReadArray<ushort>($"{_cpu.Index}.lpis", ItsSpec.EndOfLpis - ItsSpec.FirstLpi);
        reader.Require(enabled <= (_gic.LpiMemory == null ? 0 : 1), $"{_cpu.Index}.lpis-enabled");
        reader.Require(
            Array.TrueForAll(pending, id => id >= ItsSpec.FirstLpi) && (enabled == 1 || pending.Length == 0), $"{_cpu.Index}.lpis");
        (_properties, _pendings) = (tables[0] & PropertiesWritable, tables[1] & PendingsWritable);
        _lpis = enabled == 0 ? null : new LpiSet(_gic.LpisLocked);
        Array.ForEach(pending, id => _lpis!.Add(id));
        _lpis?.Reconsider();
    }
}
