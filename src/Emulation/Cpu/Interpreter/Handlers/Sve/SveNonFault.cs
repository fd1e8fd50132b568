using System.Runtime.CompilerServices;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;

/// <summary>
/// Loads that take no exception (Arm ARM, MemNF): what cannot be read of plain memory at once fails. They may fail for any reason, and do
/// where watchpoints are on or memory is checked for tags.
/// </summary>
internal static unsafe class SveNonFault
{
    private const ulong PageMask = ~(ulong)(GuestMemory.PageSize - 1);

    /// <param name="memory">log2 of the bytes.</param>
    /// <param name="value">The element, zero-extended.</param>
    public static bool TryLoad(VcpuCore core, CpuState* s, ulong va, int memory, out ulong value)
    {
        value = 0;
        int size = 1 << memory;
        if (core.Debug.Watching || ((va & (ulong)(size - 1)) != 0 && (s->SctlrEl1 & Sctlr.A) != 0))
        {
            return false;
        }

        bool bigEndian = Endianness.IsBig(s);
        for (int i = 0; i < size; i++)
        {
            byte* host = Find(core, s, va + (ulong)i);
            if (host == null)
            {
                return false;
            }

            value |= (ulong)*host << (8 * (bigEndian ? size - 1 - i : i));
        }

        return true;
    }

    // Host memory of a byte that can be read; null where there is none.
    private static byte* Find(VcpuCore core, CpuState* s, ulong va)
    {
        TlbEntry* entry = s->Tlb + ((va >> GuestMemory.PageShift) & (TlbEntry.Count - 1));
        if (entry->ReadTag == (va & PageMask))
        {
            return (byte*)(va + (nuint)entry->Addend);
        }

        int view = core.Mmu.View(AccessKind.Plain);
        var asker = new TableWalk.View(view == TlbContext.ViewEl0 ? 0 : 1, view == TlbContext.ViewEl1Pan, Updates: true);
        return core.Mmu.Translate(va, AccessType.Read, asker, out Translation t, out _) && !t.IsDevice
            && core.Data.Tagging?.Apply(view, va, t) != true
            && core.Bus.FindMemory(t.Address) is { } memory && memory.TryUse(t.Address)
            ? core.Bus.HostPointer(t.Address)
            : null;
    }
}
