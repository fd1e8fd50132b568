using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Interpreter.Handlers;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu.SystemRegisters;

internal unsafe delegate Op* ExecuteOperation(VcpuCore core, CpuState* s, Op* op, ulong value);

/// <summary>One operation of SYS.</summary>
/// <param name="Name">The name in assembly language.</param>
/// <param name="Execute">Performs the operation; <c>value</c> is Xt.</param>
/// <param name="El0Enable">The bit of SCTLR_EL1 that allows it at EL0; 0 if it is for EL1 only.</param>
internal sealed record SystemOperation(string Name, ExecuteOperation Execute, ulong El0Enable = 0, Feature Feature = Feature.None);

/// <summary>Cache, TLB and address translation operations (Arm ARM C5.3 to C5.5), by encoding.</summary>
internal static unsafe class SystemOperations
{
    private const ulong ZvaSize = 64;

    // The MAIR_EL1 byte of normal memory that is non-cacheable, inner and outer; and an encoding of PAR_EL1.SH.
    private const byte NonCacheable = 0x44;
    private const int OuterShareable = 2;

    private static readonly List<SystemOperation> Rows = [];
    private static readonly Dictionary<int, int> Index = Build();

    /// <summary>The row of op1, CRn, CRm, op2 in bits 15:0 of <paramref name="key"/> (with op0 = 1 above), or -1.</summary>
    public static int Find(int key) => Index.GetValueOrDefault(key & 0x3FFF, -1);

    public static SystemOperation? At(int index) => index < 0 ? null : Rows[index];

    /// <summary>The names of all rows.</summary>
    public static IEnumerable<string> Names => Rows.Select(row => row.Name);

    private static Dictionary<int, int> Build()
    {
        var index = new Dictionary<int, int>();
        void Row(int op1, int crn, int crm, int op2, SystemOperation operation)
        {
            index.Add((op1 << 11) | (crn << 7) | (crm << 3) | op2, Rows.Count);
            Rows.Add(operation);
        }

        Row(0, 7, 1, 0, new("IC IALLUIS", InvalidateAllCode));
        Row(0, 7, 5, 0, new("IC IALLU", InvalidateAllCode));
        Row(3, 7, 5, 1, new("IC IVAU", InvalidateCode, Sctlr.Uci));

        // The data cache is coherent: by set and way nothing happens, by address only the faults.
        Row(0, 7, 6, 1, new("DC IVAC", (core, s, op, va) => MaintainData(core, s, op, va, AccessType.Write)));
        Row(0, 7, 6, 2, new("DC ISW", Nothing));
        Row(0, 7, 10, 2, new("DC CSW", Nothing));
        Row(0, 7, 14, 2, new("DC CISW", Nothing));
        Row(3, 7, 10, 1, new("DC CVAC", (core, s, op, va) => MaintainData(core, s, op, va, AccessType.Read), Sctlr.Uci));
        Row(3, 7, 11, 1, new("DC CVAU", (core, s, op, va) => MaintainData(core, s, op, va, AccessType.Read), Sctlr.Uci));
        Row(3, 7, 12, 1, new("DC CVAP", (core, s, op, va) => MaintainData(core, s, op, va, AccessType.Read), Sctlr.Uci, Feature.Dpb));
        Row(3, 7, 13, 1, new("DC CVADP", (core, s, op, va) => MaintainData(core, s, op, va, AccessType.Read), Sctlr.Uci, Feature.Dpb2));
        Row(3, 7, 14, 1, new("DC CIVAC", (core, s, op, va) => MaintainData(core, s, op, va, AccessType.Read), Sctlr.Uci));
        Row(3, 7, 4, 1, new("DC ZVA", Zero, Sctlr.Dze));
        Row(3, 7, 4, 3, new("DC GVA",
            (core, s, op, va) => TagInstructions.StoreCacheBlock(core, s, op, va, zeroes: false), Sctlr.Dze, Feature.Mte));
        Row(3, 7, 4, 4, new("DC GZVA",
            (core, s, op, va) => TagInstructions.StoreCacheBlock(core, s, op, va, zeroes: true), Sctlr.Dze, Feature.Mte));

        // The same for tags, alone or with data.
        foreach ((int letter, string kind) in new[] { (0, "G"), (2, "GD") })
        {
            Row(0, 7, 6, 3 + letter, new($"DC I{kind}VAC",
                (core, s, op, va) => MaintainData(core, s, op, va, AccessType.Write), Feature: Feature.Mte3));
            Row(0, 7, 6, 4 + letter, new($"DC I{kind}SW", Nothing, Feature: Feature.Mte3));
            Row(0, 7, 10, 4 + letter, new($"DC C{kind}SW", Nothing, Feature: Feature.Mte3));
            Row(0, 7, 14, 4 + letter, new($"DC CI{kind}SW", Nothing, Feature: Feature.Mte3));
            foreach ((int crm, string name) in new[] { (10, "C"), (12, "C"), (13, "C"), (14, "CI") })
            {
                string point = crm switch { 12 => "VAP", 13 => "VADP", _ => "VAC" };
                Row(3, 7, crm, 3 + letter, new($"DC {name}{kind}{point}",
                    (core, s, op, va) => MaintainData(core, s, op, va, AccessType.Read), Sctlr.Uci, Feature.Mte));
            }
        }

        // There is no speculation that predictions could be restricted for.
        Row(3, 7, 3, 4, new("CFP RCTX", Nothing, Sctlr.EnRctx, Feature.Specres));
        Row(3, 7, 3, 5, new("DVP RCTX", Nothing, Sctlr.EnRctx, Feature.Specres));
        Row(3, 7, 3, 7, new("CPP RCTX", Nothing, Sctlr.EnRctx, Feature.Specres));

        Row(0, 7, 8, 0, new("AT S1E1R", (core, s, op, va) => Translate(core, s, op, va, AccessType.Read, 1, false)));
        Row(0, 7, 8, 1, new("AT S1E1W", (core, s, op, va) => Translate(core, s, op, va, AccessType.Write, 1, false)));
        Row(0, 7, 8, 2, new("AT S1E0R", (core, s, op, va) => Translate(core, s, op, va, AccessType.Read, 0, false)));
        Row(0, 7, 8, 3, new("AT S1E0W", (core, s, op, va) => Translate(core, s, op, va, AccessType.Write, 0, false)));
        Row(0, 7, 9, 0, new("AT S1E1RP", (core, s, op, va) => Translate(core, s, op, va, AccessType.Read, 1, true), Feature: Feature.Pan));
        Row(0, 7, 9, 1, new("AT S1E1WP", (core, s, op, va) => Translate(core, s, op, va, AccessType.Write, 1, true), Feature: Feature.Pan));

        AddTlbMaintenance(Row);
        return index;
    }

    private delegate void AddOperation(int op1, int crn, int crm, int op2, SystemOperation operation);

    // TLBI: of this vCPU, and of the inner and the outer shareable domain, which are the same. There are no entries of table descriptors:
    // the last level only (L) is the same.
    private static void AddTlbMaintenance(AddOperation row)
    {
        (int Op2, string Name, TlbScope Scope)[] scopes =
        [
            (0, "VMALLE1", TlbScope.All), (1, "VAE1", TlbScope.Address), (2, "ASIDE1", TlbScope.Asid),
            (3, "VAAE1", TlbScope.AddressAllAsids), (5, "VALE1", TlbScope.Address), (7, "VAALE1", TlbScope.AddressAllAsids),
        ];
        (int One, int Range, bool Broadcast, string Suffix)[] domains = [(7, 6, false, ""), (3, 2, true, "IS"), (1, 5, true, "OS")];
        foreach ((int one, int range, bool broadcast, string suffix) in domains)
        {
            foreach ((int op2, string name, TlbScope scope) in scopes)
            {
                row(0, 8, one, op2, new($"TLBI {name}{suffix}", (core, _, op, operand) =>
                {
                    core.InvalidateTlb(TlbRequest.FromOperand(scope, operand), broadcast);
                    return op + 1;
                }, Feature: one == 1 ? Feature.TlbiRange : Feature.None));
                if (scope is TlbScope.Address or TlbScope.AddressAllAsids)
                {
                    row(0, 8, range, op2, new($"TLBI R{name}{suffix}", (core, s, op, operand) =>
                    {
                        if (TlbRequest.FromRange(scope, operand, TableWalk.HasLargeDescriptors(core.Model, s->TcrEl1)) is { } request)
                        {
                            core.InvalidateTlb(request, broadcast);
                        }

                        return op + 1;
                    }, Feature: Feature.TlbiRange));
                }
            }
        }
    }

    private static Op* Nothing(VcpuCore core, CpuState* s, Op* op, ulong value) => op + 1;

    private static Op* InvalidateAllCode(VcpuCore core, CpuState* s, Op* op, ulong value)
    {
        core.NoteCodeChange(core.Code.InvalidateAll());
        return op + 1;
    }

    private static Op* InvalidateCode(VcpuCore core, CpuState* s, Op* op, ulong va)
    {
        if (!core.Data.TranslateForMaintenance(op, va, AccessType.Read, out ulong address))
        {
            return core.Resume(op);
        }

        if (core.Bus.FindMemory(address) is { } memory)
        {
            core.NoteCodeChange(core.Code.Invalidate(memory, address));
        }

        return op + 1;
    }

    private static Op* MaintainData(VcpuCore core, CpuState* s, Op* op, ulong va, AccessType type) =>
        core.Data.TranslateForMaintenance(op, va, type, out _) ? op + 1 : core.Resume(op);

    private static Op* Zero(VcpuCore core, CpuState* s, Op* op, ulong va)
    {
        if (!MemoryAccess.IsWritablePage(s, va) && !core.Data.CheckZero(op, va))
        {
            return core.Resume(op);
        }

        va &= ~(ZvaSize - 1);
        for (ulong offset = 0; offset < ZvaSize; offset += 16)
        {
            if (!MemoryAccess.Store(core, s, op, va + offset, UInt128.Zero))
            {
                return core.Resume(op);
            }
        }

        return op + 1;
    }

    // PAR_EL1 (Arm ARM D24.2.140). An external abort of the walk is an exception instead.
    private static Op* Translate(VcpuCore core, CpuState* s, Op* op, ulong va, AccessType type, int exceptionLevel, bool withPan)
    {
        var view = new TableWalk.View(exceptionLevel, withPan && (s->Pstate & Pstate.Pan) != 0);
        if (core.Mmu.Translate(va, type, view, out Translation t, out int status))
        {
            // Memory that is not cacheable is outer shareable, whatever the descriptor says.
            int shareability = t.IsDevice || t.Attributes == NonCacheable ? OuterShareable : t.Shareability;
            s->ParEl1 = (t.Address & 0x000F_FFFF_FFFF_F000) | ((ulong)t.Attributes << 56) | (1ul << 11) | ((ulong)shareability << 7);
            return op + 1;
        }

        if (FaultStatus.IsAbortOfWalk(status) || status == FaultStatus.PageMissing)
        {
            core.Data.Fault(op, va, status, type, AccessKind.CacheMaintenance);
            return core.Resume(op);
        }

        s->ParEl1 = ((ulong)status << 1) | (1ul << 11) | 1;
        return op + 1;
    }
}
