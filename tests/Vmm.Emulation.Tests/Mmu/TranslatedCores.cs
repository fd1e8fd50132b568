using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.Mmu;

/// <summary>
/// vCPUs that share 16 MiB of memory at 1 GiB, with the MMU on: 4 KiB granule, 39-bit halves, 16-bit ASIDs in TTBR1_EL1. The upper half
/// maps all memory, global, at <see cref="Kernel"/>; the lower half is the test's. Code runs from <see cref="Code"/>.
/// </summary>
internal sealed unsafe class TranslatedCores : IDisposable
{
    public const ulong Physical = 0x4000_0000;

    /// <summary>What to add to a physical address for its address in the upper half.</summary>
    public const ulong Kernel = 0xFFFF_FF80_0000_0000;
    public const ulong Vectors = Kernel + Physical;
    public const ulong Code = Vectors + 0x1000;

    /// <summary>The first of the frames that are the test's, physical.</summary>
    public const ulong Frames = Physical + 0x80_0000;

    // Descriptor bits: valid and page, AF, SH = inner, AP[1], nG.
    public const ulong PageDescriptor = 3;
    public const ulong BlockDescriptor = 1;
    public const ulong Normal = (1 << 10) | (3 << 8);
    public const ulong El0 = 1 << 6;
    public const ulong ReadOnly = 1 << 7;
    public const ulong NonGlobal = 1 << 11;

    private const int Size = 16 << 20;
    private const uint Stay = 0x1400_0000;

    private readonly ulong _upper;
    private ulong _nextTable = Physical + 0x10_0000;

    private readonly TranslationCache? _translations;

    public TranslatedCores(int count, bool jit = false, ulong tcr = DefaultTcr)
    {
        var bus = new PhysicalAddressSpace();
        bus.AddMemory(Memory);
        CpuModel model = CpuModel.Find("max")!;
        var code = new CodeCache(model);
        _translations = jit ? TranslationCache.TryCreate(code, TranslationCache.SmallestCapacity, cold: 0) : null;
        Cores = [.. Enumerable.Range(0, count).Select(i => new VcpuCore(new CpuIndex(i), model, bus, code, _translations))];
        var broadcast = new TlbBroadcast(Cores);
        for (ulong vector = 0; vector < 0x800; vector += 0x80)
        {
            Write(Vectors + vector, Stay);
        }

        _upper = NewTable();
        *Host(_upper + 8) = Physical | Normal | BlockDescriptor;
        Root = NewTable();
        foreach (VcpuCore core in Cores)
        {
            core.Broadcast = broadcast;
            core.Enable();
            core.Reset(Code, 0);
            CpuState* s = core.State;
            s->VbarEl1 = Vectors;
            s->MairEl1 = 0xFF;
            s->TcrEl1 = tcr;
            s->SctlrEl1 = Sctlr.Reset | Sctlr.M;
            UseTables(core, Root, 1);
        }
    }

    /// <summary>T0SZ = T1SZ = 25, 4 KiB granules, 48-bit output, AS and A1 set.</summary>
    public const ulong DefaultTcr = 25 | (25 << 16) | (2ul << 30) | (5ul << 32) | (1ul << 36) | (1ul << 22);

    public GuestMemory Memory { get; } = new(new GuestPhysicalAddress(Physical), Size);

    public VcpuCore[] Cores { get; }

    /// <summary>The table of the lower half that all cores start with.</summary>
    public ulong Root { get; }

    public ulong NewTable()
    {
        ulong table = _nextTable;
        _nextTable += 0x1000;
        return table;
    }

    public ulong* Host(ulong physical) => (ulong*)(Memory.Host + (physical - Physical));

    /// <summary>Instructions or data at an address of the upper half.</summary>
    public void Write(ulong kernel, params ReadOnlySpan<uint> words) =>
        words.CopyTo(new Span<uint>(Memory.Host + (kernel - Kernel - Physical), words.Length));

    /// <summary>Physical address of the descriptor of an address of the lower half; makes the tables above.</summary>
    public ulong Descriptor(ulong root, ulong va, int level = 3)
    {
        ulong table = root;
        for (int at = 1; ; at++)
        {
            ulong descriptor = table + (((va >> (39 - (9 * at))) & 511) * 8);
            if (at == level)
            {
                return descriptor;
            }

            if (*Host(descriptor) == 0)
            {
                *Host(descriptor) = NewTable() | 3;
            }

            table = *Host(descriptor) & 0x0000_FFFF_FFFF_F000;
        }
    }

    public void Map(ulong root, ulong va, ulong physical, ulong attributes = Normal | NonGlobal, int level = 3) =>
        *Host(Descriptor(root, va, level)) = physical | attributes | (level == 3 ? PageDescriptor : BlockDescriptor);

    /// <summary>The lower half of a core and its ASID, as after writes of the TTBRs.</summary>
    public void UseTables(VcpuCore core, ulong root, ulong asid)
    {
        core.State->Ttbr0El1 = root | (asid << 48);
        core.State->Ttbr1El1 = _upper | (asid << 48);
        core.Mmu.SwitchContext();
    }

    /// <summary>Executes one instruction at EL1; false if it took an exception.</summary>
    public bool Execute(VcpuCore core, uint word)
    {
        Write(Code, word, Stay);
        core.Code.InvalidateAll();
        core.State->Pc = Code;
        core.Run(1);
        return core.State->Pc == Code + 4;
    }

    /// <summary>LDR X1, [X0].</summary>
    public ulong Load(VcpuCore core, ulong va)
    {
        core.State->X[0] = va;
        Assert.True(Execute(core, 0xF940_0001), $"load of 0x{va:x} took an exception, ESR 0x{core.State->EsrEl1:x}");
        return core.State->X[1];
    }

    public void Dispose()
    {
        foreach (VcpuCore core in Cores)
        {
            core.Dispose();
        }

        _translations?.Dispose();
        Memory.Dispose();
    }
}
