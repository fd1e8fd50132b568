using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Devices.Pci;

/// <summary>
/// The addresses of one space of the PCI bus, and who answers there. Readers take no lock: an access that meets a change is done as before
/// it or after it.
/// </summary>
internal sealed class PciDecoder
{
    // By address, without overlaps. Replaced as a whole, under the lock of the host.
    private Range[] _ranges = [];

    /// <summary>What a base address register decodes.</summary>
    public readonly record struct Range(ulong First, ulong Last, IMmioDevice Registers);

    /// <summary>Replaces all ranges. Of two that overlap the first one answers, and the other one not at all.</summary>
    public void Update(IEnumerable<Range> ranges)
    {
        var kept = new List<Range>();
        foreach (Range range in ranges)
        {
            int at = kept.FindIndex(r => r.First > range.First);
            at = at < 0 ? kept.Count : at;
            if ((at == 0 || kept[at - 1].Last < range.First) && (at == kept.Count || kept[at].First > range.Last))
            {
                kept.Insert(at, range);
            }
        }

        Volatile.Write(ref _ranges, [.. kept]);
    }

    /// <summary>A read of 1, 2, 4 or 8 bytes; all ones where nothing answers, as a master abort reads.</summary>
    public ulong Read(ulong address, int size) => Find(address, size) is { } range
        ? range.Registers.Read(address - range.First, size)
        : MmioAccess.Truncate(ulong.MaxValue, size);

    /// <summary>A write of 1, 2, 4 or 8 bytes; nothing happens where nothing answers.</summary>
    public void Write(ulong address, int size, ulong value)
    {
        if (Find(address, size) is { } range)
        {
            range.Registers.Write(address - range.First, size, value);
        }
    }

    private Range? Find(ulong address, int size)
    {
        Range[] ranges = Volatile.Read(ref _ranges);
        int low = 0;
        int high = ranges.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) >> 1;
            Range range = ranges[middle];
            if (address < range.First)
            {
                high = middle - 1;
            }
            else if (address > range.Last)
            {
                low = middle + 1;
            }
            else
            {
                return range.Last - address >= (ulong)(size - 1) ? range : null;
            }
        }

        return null;
    }
}
