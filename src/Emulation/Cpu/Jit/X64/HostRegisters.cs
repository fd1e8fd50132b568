using System.Runtime.InteropServices;

namespace Vmm.Emulation.Cpu.Jit.X64;

/// <summary>
/// Where translated code keeps the guest's state. RBP points into <see cref="CpuState"/>. RAX, RCX and RDX are scratch. Each of the other
/// registers is the pin of a guest register: it holds that in every block alike, so that blocks can jump to each other. Pins are given to
/// the guest registers that compilers use most.
/// </summary>
internal static unsafe class HostRegisters
{
    /// <summary>RBP = state + bias. So the first fields of the state, up to X25, have displacements of one byte.</summary>
    public const int Bias = 128;

    /// <summary>A state that nobody uses, to compute the offsets of fields.</summary>
    public static readonly CpuState* Origin = (CpuState*)NativeMemory.AllocZeroed((nuint)sizeof(CpuState));

    /// <summary>The host register of each slot of <see cref="CpuState.X"/>, or None.</summary>
    private static readonly Reg[] s_pins = MakePins();

    /// <summary>The slots that have a host register.</summary>
    public static IEnumerable<(int Slot, Reg Register)> Pins =>
        s_pins.Select((register, slot) => (slot, register)).Where(pin => pin.register != Reg.None);

    public static Reg Pin(int slot) => s_pins[slot];

    public static Operand Slot(int slot) => Field(&Origin->X[slot]);

    public static readonly Operand Nzcv = Field(&Origin->Nzcv);

    /// <summary>The flags, where they are in memory: as <c>LAHF; SETO AL</c> have them in AX, with CF as the guest's C.</summary>
    public static readonly Operand HostFlags = Field(&Origin->HostFlags);

    public static readonly Operand Pstate = Field(&Origin->Pstate);

    public static readonly Operand Attention = Field(&Origin->Attention);

    public static readonly Operand BroadcastOpen = Field(&Origin->BroadcastOpen);

    public static readonly Operand Remaining = Field(&Origin->Remaining);

    public static readonly Operand CodePageVa = Field(&Origin->CodePageVa);

    public static readonly Operand Pc = Field(&Origin->Pc);

    public static readonly Operand Tlb = Field(&Origin->Tlb);

    public static readonly Operand TlbUnprivileged = Field(&Origin->TlbUnprivileged);

    public static readonly Operand JumpCache = Field(&Origin->JumpCache);

    public static readonly Operand Exit = Field(&Origin->Exit);

    public static readonly Operand StoreLog = Field(&Origin->StoreLog);

    public static readonly Operand InterruptInputs = Field(&Origin->InterruptInputs);

    public static readonly Operand ExclusiveAddress = Field(&Origin->ExclusiveAddress);

    public static readonly Operand ExclusiveLow = Field(&Origin->ExclusiveLow);

    public static readonly Operand ExclusiveHigh = Field(&Origin->ExclusiveHigh);

    public static readonly Operand ExclusiveSize = Field(&Origin->ExclusiveSize);

    public static readonly Operand CounterOrigin = Field(&Origin->CounterOrigin);

    public static readonly Operand Branches = Field(&Origin->Branches);

    public static readonly Operand CntkctlEl1 = Field(&Origin->CntkctlEl1);

    public static readonly Operand Fpcr = Field(&Origin->Fpcr);

    public static readonly Operand Fpsr = Field(&Origin->Fpsr);

    /// <summary>The byte of <see cref="CpuState.ScalableLive"/> of a V register.</summary>
    public static Operand ScalableLive(int register) => Field((byte*)Origin->ScalableLive + register);

    public static readonly Operand FpEnabled = Field(&Origin->FpEnabled);

    /// <summary>The vector length of SVE where it can be used: see <see cref="CpuState.ScalableLength"/>.</summary>
    public static readonly Operand ScalableLength = Field(&Origin->ScalableLength);

    /// <summary>16 bytes of a Z register: those from <paramref name="piece"/> × 16 on, of which the first are its V register.</summary>
    public static Operand Scalable(int register, int piece) => piece == 0
        ? Vector(register)
        : Behind(ScalableRegisters.OffsetOfHigh(register) + ((piece - 1) * ScalableRegisters.LowBytes));

    /// <summary>P0–P15 or FFR, from a byte on.</summary>
    public static Operand Predicate(int number, int from = 0) => Behind(ScalableRegisters.OffsetOfPredicate(number) + from);

    /// <summary>Room for a vector of SVE, within an instruction, from a byte on.</summary>
    public static Operand ScalableRoom(int from) => Behind(ScalableRegisters.OffsetOfRoom + from);

    /// <summary>One of <see cref="ScalableConstants"/>.</summary>
    public static Operand ScalableConstant(int from) => Behind(ScalableRegisters.OffsetOfConstants + from);

    // What lies behind CpuState, from its start.
    private static Operand Behind(int offset) => Operand.At(Reg.Rbp, offset - Bias);

    /// <param name="field">The field's address in <see cref="Origin"/>.</param>
    public static Operand Field(void* field) => Operand.At(Reg.Rbp, (int)((byte*)field - (byte*)Origin) - Bias);

    /// <summary>The tag of the page that a base register used last.</summary>
    public static Operand BaseTag(int slot, bool write) => Field(&(write ? Origin->BaseWriteTag : Origin->BaseReadTag)[BaseIndex(slot)]);

    public static Operand BaseAddend(int slot) => Field(&Origin->BaseAddend[BaseIndex(slot)]);

    public static Operand CoverAddend(int index) => Field(&Origin->CoverAddend[index]);

    /// <summary>Where a base register stands in <see cref="CpuState.BaseReadTag"/> and its kin.</summary>
    public static int BaseIndex(int slot) => slot == CpuState.Sp ? CpuState.Bases - 1 : slot;

    /// <summary>The low or the high half of a V register, or all of it.</summary>
    public static Operand Vector(int register, int half = 0) =>
        Field(&Origin->V[(register * 2) + half]);

    private static Reg[] MakePins()
    {
        var pins = new Reg[34];
        Array.Fill(pins, Reg.None);
        (pins[0], pins[1], pins[2], pins[3], pins[4]) = (Reg.Rsi, Reg.Rdi, Reg.Rbx, Reg.R8, Reg.R9);
        (pins[19], pins[20], pins[21]) = (Reg.R10, Reg.R11, Reg.R12);
        (pins[29], pins[30], pins[CpuState.Sp]) = (Reg.R13, Reg.R14, Reg.R15);
        return pins;
    }
}
