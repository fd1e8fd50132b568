using Vmm.Emulation.Memory;
using static Vmm.Emulation.Interrupts.GicV3.ItsSpec;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <summary>
/// The priorities and enables of all LPIs (IHI 0069, 5.1.1), as they were in the guest's table when it last said that they had changed: by
/// INV, INVALL, or GICR_CTLR.EnableLPIs. All CPUs have the same table (GICR_TYPER.CommonLPIAff). The lock of the <see cref="Gic"/> guards
/// it.
/// </summary>
internal sealed class LpiConfiguration
{
    private const byte EnabledBit = 1;

    private readonly byte[] _entries = new byte[EndOfLpis - FirstLpi];

    public Span<byte> Entries => _entries;

    public bool IsEnabled(int id) => (_entries[id - FirstLpi] & EnabledBit) != 0;

    public int PriorityOf(int id) => _entries[id - FirstLpi] & GicSpec.PriorityMask;

    /// <summary>Reads the entries of all LPIs below a number. Those that are not in RAM are not enabled.</summary>
    /// <exception cref="MissingPageException">A page has not arrived; nothing has changed.</exception>
    public void Load(IDmaMemory memory, ulong table, int end)
    {
        if (end <= FirstLpi || !memory.TryRead(table, _entries.AsSpan(0, end - FirstLpi)))
        {
            Array.Clear(_entries);
            return;
        }

        Array.Clear(_entries, end - FirstLpi, EndOfLpis - end);
    }

    /// <summary>Reads the entry of one LPI.</summary>
    /// <exception cref="MissingPageException">The page has not arrived; nothing has changed.</exception>
    public void Load(IDmaMemory memory, ulong table, int end, int id)
    {
        Span<byte> entry = stackalloc byte[1];
        entry.Clear();
        if (id < end)
        {
            memory.TryRead(table + (ulong)(id - FirstLpi), entry);
        }

        _entries[id - FirstLpi] = entry[0];
    }
}
