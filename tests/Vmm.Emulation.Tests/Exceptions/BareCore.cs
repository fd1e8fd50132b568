using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.Exceptions;

/// <summary>One vCPU, without GIC, timer and PSCI, and 64 KiB of memory at 1 GiB, MMU off, vectors of branches to themselves.</summary>
internal sealed unsafe class BareCore : IDisposable
{
    public const ulong Code = 0x4000_0000;
    public const ulong Data = 0x4000_8000;
    public const ulong Vectors = 0x4000_1000;
    public const ulong Tables = 0x4000_F000;

    private const int Size = 0x1_0000;

    private readonly TranslationCache? _translations;

    public BareCore(string modelName = "max", bool jit = false)
        : this(CpuModel.Find(modelName)!, jit)
    {
    }

    public BareCore(CpuModel model, bool jit = false)
    {
        var bus = new PhysicalAddressSpace();
        bus.AddMemory(Memory);
        var code = new CodeCache(model);
        _translations = jit ? TranslationCache.TryCreate(code, 1 << 20, cold: 0) : null;
        Core = new VcpuCore(new CpuIndex(0), model, bus, code, _translations);
        Core.Reset(Code, 0);
        Core.Enable();
        State->VbarEl1 = Vectors;
        State->OsLock = 0;
        for (ulong vector = 0; vector < 0x800; vector += 0x80)
        {
            Write(Vectors + vector, 0x1400_0000);
        }
    }

    public GuestMemory Memory { get; } = new(new GuestPhysicalAddress(Code), Size);

    public VcpuCore Core { get; }

    public CpuState* State => Core.State;

    public uint ExceptionClass => (uint)(State->EsrEl1 >> 26);

    public uint Syndrome => (uint)State->EsrEl1 & 0x1FF_FFFF;

    public void Write(ulong address, params ReadOnlySpan<uint> words) =>
        words.CopyTo(new Span<uint>(Memory.Host + (address - Code), words.Length));

    public ulong Read(ulong address) => *(ulong*)(Memory.Host + (address - Code));

    /// <summary>Runs a program at EL0.</summary>
    public void RunAtEl0(long budget, params ReadOnlySpan<uint> program)
    {
        Write(Code, program);
        Core.SetPstate(Pstate.ModeEl0t);
        State->Pc = Code;
        Core.Run(budget);
    }

    public void Dispose()
    {
        Core.Dispose();
        _translations?.Dispose();
        Memory.Dispose();
    }
}
