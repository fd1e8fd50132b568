using System.Text;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Psci;
using Vmm.Emulation.Cpu.SystemRegisters;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.Misbehaviour;

/// <summary>
/// A whole <see cref="VirtMachine"/> whose guest is the test: 16 MiB of RAM, vectors that branch to themselves at <see cref="Vectors"/>,
/// and code at <see cref="Code"/>. CPU_ON is only counted.
/// </summary>
internal sealed unsafe class HostileMachine : IPsciEvents, IDisposable
{
    public const ulong Ram = 0x4000_0000;
    public const ulong RamSize = 16 << 20;
    public const ulong RamEnd = Ram + RamSize;
    public const ulong Vectors = Ram + 0x1000;
    public const ulong Code = Ram + 0x2000;
    public const uint Stay = 0x1400_0000;

    /// <summary>Classes of ESR_EL1.EC that a guest without EL2 and EL3 can see (Arm ARM D24.2.40).</summary>
    public static readonly uint[] ExceptionClasses =
    [
        0x00, 0x01, 0x07, 0x0D, 0x0E, 0x15, 0x18, 0x19, 0x1C, 0x20, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35,
        0x3C,
    ];

    private int _cpuOnCalls;

    public HostileMachine(
        int cpus = 1, int possible = 0, BootConfig? boot = null, string model = "max",
        FirmwareConfig? firmware = null, Accelerator? accelerator = null)
    {
        possible = Math.Max(cpus, possible);
        Machine = new VirtMachine(
            new MachineConfig(ModelOf(model), cpus, new CpuTopology(1, 1, possible, 1), RamSize,
                boot ?? new BootConfig(default, null, ""))
            {
                Firmware = firmware,
                Accelerator = accelerator ?? Accelerators.Default,
            },
            this);
        FillVectors();
    }

    public VirtMachine Machine { get; }

    public VcpuCore Core => Machine.Cpus[0];

    public CpuState* State => Core.State;

    /// <summary>The windows of all devices.</summary>
    public IReadOnlyList<PhysicalAddressSpace.Window> Windows =>
        [.. Machine.Board.Devices.SelectMany(d => d.At.Addresses).Select(address => Machine.Bus.FindDevice(address.Value)!.Value)];

    /// <summary>How often CPU_ON has been granted.</summary>
    public int CpuOnCalls => Volatile.Read(ref _cpuOnCalls);

    void IPsciEvents.CpuOn(CpuIndex cpu, GuestPhysicalAddress entryPoint, ulong context) => Interlocked.Increment(ref _cpuOnCalls);

    public void FillVectors()
    {
        for (ulong vector = 0; vector < 0x800; vector += 0x80)
        {
            Write(Vectors + vector, Stay);
        }
    }

    // The largest has all there is.
    private static CpuModel ModelOf(string name)
    {
        CpuModel model = CpuModel.Find(name)!;
        return model.Has(Feature.Mte) ? model.WithMemoryTags() : model;
    }

    /// <summary>Host address of a byte of RAM.</summary>
    public byte* Host(ulong physical) => Machine.Ram.Host + (physical - Ram);

    /// <summary>The doubleword at an address of RAM; null where there is none.</summary>
    public ulong? Doubleword(ulong physical) => physical - Ram < RamSize ? *(ulong*)Host(physical) : null;

    public void Write(ulong physical, params ReadOnlySpan<uint> words) => words.CopyTo(new Span<uint>(Host(physical), words.Length));

    /// <summary>Resets a vCPU to a PC and PSTATE, with FP on and the OS lock off.</summary>
    public void Place(VcpuCore core, ulong pc, uint pstate = Pstate.ModeEl1h | Pstate.DaifMask)
    {
        core.Reset(pc, 0);
        core.State->VbarEl1 = Vectors;
        core.State->CpacrEl1 = (3 << 20) | (3 << 16);
        core.State->OsLock = 0;
        core.SetPstate(pstate);
    }

    /// <summary>Sets the registers of translation, as after writes of them; all memory is Normal.</summary>
    public void SetRegime(in Regime regime)
    {
        State->SctlrEl1 = regime.Sctlr;
        State->TcrEl1 = regime.Tcr;
        State->Ttbr0El1 = regime.Ttbr0;
        State->Ttbr1El1 = regime.Ttbr1;
        State->MairEl1 = 0x4444_4444_4444_44FF;
        Core.Mmu.SwitchContext();
        Core.Mmu.Flush();
    }

    /// <summary>Resets the machine and runs CPU 0 until the boot image powers it off; returns what it printed.</summary>
    /// <exception cref="TimeoutException">It did not power off; the message holds the text so far.</exception>
    public string Boot()
    {
        var text = new StringBuilder();
        long deadline = Environment.TickCount64 + (long)Patience.Limit.TotalMilliseconds;
        Drain(null);
        Machine.PowerOn();
        while (Environment.TickCount64 < deadline)
        {
            VcpuExit exit = Core.Run(1_000_000);
            Drain(text);
            if (exit == VcpuExit.SystemOff)
            {
                return text.ToString();
            }

            while (exit == VcpuExit.WaitForInterrupt && !Core.Interrupts.HasWakeup && Environment.TickCount64 < deadline)
            {
                Thread.Sleep(0);
            }
        }

        throw new TimeoutException($"the guest did not power off; PC 0x{State->Pc:x}, it printed:\n{text}");
    }

    /// <summary>Takes what the UART has sent.</summary>
    public void Drain(StringBuilder? text)
    {
        Span<byte> buffer = stackalloc byte[4096];
        while (Machine.Board.Uart.Drain(buffer) is var count and > 0)
        {
            text?.Append(Encoding.Latin1.GetString(buffer[..count]));
        }
    }

    /// <summary>The regime of no translation, or of tables with everything else at its reset value.</summary>
    public static Regime Untranslated(ulong tcr = 0) => new(Sctlr.Reset, tcr, 0, 0, 52);

    /// <summary>Fails unless CPU 0 has just taken this synchronous exception to EL1.</summary>
    public void AssertTook(uint exceptionClass, uint syndrome, ulong elr, ulong? far, uint spsr, string what)
    {
        CpuState* s = State;
        uint offset = ((spsr >> 2) & 3) == 0 ? 0x400u : (spsr & 1) != 0 ? 0x200u : 0;
        string got = $"{what}: PC {s->Pc:x} ESR {s->EsrEl1:x} ELR {s->ElrEl1:x} FAR {s->FarEl1:x} SPSR {s->SpsrEl1:x} PSTATE {s->Pstate:x}";
        string want = $"wanted EC {exceptionClass:x} ISS {syndrome:x} ELR {elr:x} FAR {far:x} SPSR {spsr:x}; {got}";
        Assert.True(s->Pc == Vectors + offset, want);
        Assert.True(s->EsrEl1 == (((ulong)exceptionClass << 26) | (1ul << 25) | syndrome), want);
        Assert.True(s->ElrEl1 == elr, want);
        Assert.True(far == null || s->FarEl1 == far, want);
        // The flags are any, and a branch that led there has left its type.
        const uint saved = 0x0FFF_FFFF & ~Pstate.Btype;
        Assert.True(((uint)s->SpsrEl1 & saved) == (spsr & saved), want);
        Assert.True((s->Pstate & (Pstate.ModeMask | Pstate.DaifMask | Pstate.Il)) == (Pstate.ModeEl1h | Pstate.DaifMask), want);
    }

    /// <summary>Fails unless PSTATE and what follows from it are of a CPU with EL0 and EL1 in AArch64.</summary>
    public static void AssertLegal(VcpuCore core, string what)
    {
        const uint Fields = Pstate.ModeMask | Pstate.DaifMask | Pstate.Btype | Pstate.Ssbs | Pstate.Il | Pstate.Ss | Pstate.Pan
            | Pstate.Uao | Pstate.Dit | Pstate.Tco;
        CpuState* s = core.State;
        Assert.True((s->Pstate & Pstate.ModeMask) is Pstate.ModeEl0t or Pstate.ModeEl1t or Pstate.ModeEl1h,
            $"{what}: PSTATE {s->Pstate:x}");
        Assert.True((s->Pstate & ~Fields) == 0, $"{what}: PSTATE {s->Pstate:x}");
        Assert.True((s->Nzcv & 0x0FFF_FFFF) == 0, $"{what}: NZCV {s->Nzcv:x}");
        Assert.True(s->X[CpuState.Zr] == 0, $"{what}: XZR {s->X[CpuState.Zr]:x}");
        Assert.True((s->VbarEl1 & 0x7FF) == 0, $"{what}: VBAR_EL1 {s->VbarEl1:x}");
    }

    public void Dispose() => Machine.Dispose();
}
