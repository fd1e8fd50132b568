using System.Globalization;
using System.Text;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu;

/// <content>What a monitor looks at: memory as the CPU sees it, and its TLB.</content>
public sealed unsafe partial class VcpuCore
{
    /// <summary>
    /// Copies memory at virtual addresses as EL1 reads it, up to where none is mapped. Devices are not read and no cache changes. Owner only, or while the
    /// vCPU does not run.
    /// </summary>
    /// <returns>Bytes copied.</returns>
    public int Peek(ulong address, Span<byte> bytes)
    {
        int done = 0;
        while (done < bytes.Length)
        {
            ulong va = address + (ulong)done;
            int count = Math.Min(bytes.Length - done, GuestMemory.PageSize - (int)(va & (GuestMemory.PageSize - 1)));

            // A debugger reads what EL1 may not: permissions do not count where the walk itself has ended.
            bool mapped = TableWalk.Translate(this, va, AccessType.Read, new TableWalk.View(1, Pan: false), out Translation translation, out int status)
                || (status & ~3) == FaultStatus.Permission;
            int copied = mapped ? Bus.Peek(translation.Address, bytes.Slice(done, count)) : 0;
            done += copied;
            if (copied < count)
            {
                break;
            }
        }

        return done;
    }

    /// <summary>The cached data translations of the current translation tables, a line each. Owner only, or while the vCPU does not run.</summary>
    public string DescribeTlb()
    {
        if (_context == null)
        {
            return "";
        }

        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"TTBR0_EL1={_context.Ttbr0:x16} TTBR1_EL1={_context.Ttbr1:x16}");
        int count = 0;
        foreach ((ulong va, string view, ulong pa, TlbEntry entry) in CachedTranslations())
        {
            count++;
            text.Append(CultureInfo.InvariantCulture, $"\n{va:x16}: {pa:x16} {(entry.ReadTag == va ? 'r' : '-')}{(entry.WriteTag == va ? 'w' : '-')} ");
            text.Append(CultureInfo.InvariantCulture, $"{view,-8} {(entry.Global != 0 ? "global" : "asid  ")} of {1ul << entry.SizeBits >> 10} KiB");
        }

        text.Append(CultureInfo.InvariantCulture, $"\n{count} translations");
        return text.ToString();
    }

    private List<(ulong Address, string View, ulong Physical, TlbEntry Entry)> CachedTranslations()
    {
        var found = new List<(ulong Address, string View, ulong Physical, TlbEntry Entry)>();
        ReadOnlySpan<string> names = ["EL0", "EL1 PAN", "EL1"];
        for (int view = 0; view < TlbContext.Views; view++)
        {
            for (int i = 0; i < TlbEntry.Count; i++)
            {
                TlbEntry entry = _context.View(view)[i];
                ulong va = entry.ReadTag != TlbEntry.Invalid ? entry.ReadTag : entry.WriteTag;
                if (va != TlbEntry.Invalid && entry.SizeBits != 0)
                {
                    found.Add((va, names[view], PhysicalAddressOf((byte*)(va + (ulong)entry.Addend)), entry));
                }
            }
        }

        found.Sort((a, b) => a.Address.CompareTo(b.Address));
        return found;
    }

    private ulong PhysicalAddressOf(byte* host)
    {
        foreach (GuestMemory memory in Bus.Memories)
        {
            if (host >= memory.Host && host < memory.Host + memory.Size)
            {
                return memory.Start.Value + (ulong)(host - memory.Host);
            }
        }

        return 0;
    }
}
