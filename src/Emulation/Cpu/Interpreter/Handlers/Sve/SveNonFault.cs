using System.Runtime.CompilerServices;
using Vmm.Emulation.Cpu.MemoryTagging;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;

/// <summary>
/// Loads that take no exception (Arm ARM, MemNF): what cannot be read of plain memory at once fails, and so does what a
/// watchpoint watches or has another tag than its address. They may fail for any reason.
/// </summary>
internal static unsafe class SveNonFault
{
    private const ulong PageMask = ~(ulong)(GuestMemory.PageSize - 1);

    /// <param name="memory">log2 of the bytes.</param>
    /// <param name="value">The element, zero-extended.</param>
    public static bool TryLoad(VcpuCore core, CpuState* s, Op* op, ulong va, int memory, out ulong value)
    {
        value = 0;
        int size = 1 << memory;
        if ((va & (ulong)(size - 1)) != 0 && (s->SctlrEl1 & Sctlr.A) != 0)
        {
            return false;
        }

        bool bigEndian = Endianness.IsBig(s);
        for (int i = 0; i < size; i++)
        {
            byte* host = Find(core, s, op, va + (ulong)i);
            if (host == null)
            {
                return false;
            }

            value |= (ulong)*host << (8 * (bigEndian ? size - 1 - i : i));
        }

        return true;
    }

    // Host memory of a byte that can be read; null where there is none.
    private static byte* Find(VcpuCore core, CpuState* s, Op* op, ulong va)
    {
        TlbEntry* entry = s->Tlb + ((va >> GuestMemory.PageShift) & (TlbEntry.Count - 1));
        if (entry->ReadTag == (va & PageMask))
        {
            return (byte*)(va + (nuint)entry->Addend);
        }

        TagChecks? tagging = core.Data.Tagging;
        int view = core.Mmu.View(AccessKind.Plain);
        int level = view == TlbContext.ViewEl0 ? 0 : 1;
        if (core.Debug.Watching && core.Debug.FindWatchpoint(va, 1, level, AccessType.Read, out _))
        {
            return null;
        }

        if (tagging == null || !tagging.TryFind(va, 1, AccessKind.Plain, write: false, out byte* host))
        {
            var asker = new TableWalk.View(level, view == TlbContext.ViewEl1Pan, Updates: true);
            if (!core.Mmu.Translate(va, AccessType.Read, asker, out Translation t, out _) || t.IsDevice
                || core.Bus.FindMemory(t.Address) is not { } memory || !memory.TryUse(t.Address))
            {
                return null;
            }

            host = core.Bus.HostPointer(t.Address);
            tagging = tagging?.Apply(view, va, t) == true ? tagging : null;
        }

        return tagging == null || tagging.Matching(op, va, 1, host) != 0 ? host : null;
    }
}
