using System.Runtime.CompilerServices;

namespace Vmm.Emulation.Cpu.Jit.X64;

/// <summary>
/// Writes x86-64 instructions one after the other (Intel SDM, volume 2). <c>wide</c> chooses 64-bit operands; 32-bit ones clear the upper
/// half of a destination register. All parts of the back end share one assembler, so that all write to the same place. The caller sees to
/// it that there is room.
/// </summary>
internal sealed unsafe partial class Assembler
{
    /// <summary>The longest instruction.</summary>
    public const int MaxInstruction = 15;

    private const int Map0F = 0x0F00;
    private const int Map0F38 = 0x0F3800;
    private const int Map0F3A = 0x0F3A00;

    /// <summary>Where the next byte goes.</summary>
    public byte* Position { get; private set; }

    /// <summary>Goes on writing elsewhere.</summary>
    public void MoveTo(byte* place) => Position = place;

    public void Alu(Alu operation, bool wide, Reg destination, Operand source) =>
        Rm(0, wide, ((int)operation << 3) | 3, destination, source);

    public void AluTo(Alu operation, bool wide, Operand destination, Reg source) =>
        Rm(0, wide, ((int)operation << 3) | 1, source, destination);

    /// <summary>With an immediate, which 64-bit operands sign-extend.</summary>
    public void AluImmediate(Alu operation, bool wide, Operand destination, int value)
    {
        if (value == (sbyte)value)
        {
            Rm(0, wide, 0x83, (Reg)operation, destination);
            Byte(value);
        }
        else
        {
            Rm(0, wide, 0x81, (Reg)operation, destination);
            Int32(value);
        }
    }

    public void Test(bool wide, Operand left, Reg right) => Rm(0, wide, 0x85, right, left);

    public void TestImmediate(bool wide, Operand left, int value)
    {
        Rm(0, wide, 0xF7, 0, left);
        Int32(value);
    }

    public void Load(bool wide, Reg destination, Operand source) => Rm(0, wide, 0x8B, destination, source);

    public void Store(bool wide, Operand destination, Reg source) => Rm(0, wide, 0x89, source, destination);

    public void Store8(Operand destination, Reg source) => Rm(0, false, 0x88, source, destination, byteRegister: true);

    public void Store16(Operand destination, Reg source) => Rm(0x66, false, 0x89, source, destination);

    /// <summary>Stores an immediate, which 64-bit operands sign-extend.</summary>
    public void StoreImmediate(bool wide, Operand destination, int value)
    {
        Rm(0, wide, 0xC7, 0, destination);
        Int32(value);
    }

    /// <summary>In the shortest form that leaves the flags alone.</summary>
    public void Store8Immediate(Operand destination, int value)
    {
        Rm(0, false, 0xC6, 0, destination);
        Byte(value);
    }

    public void LoadImmediate(Reg destination, ulong value)
    {
        if (value <= uint.MaxValue)
        {
            Rex(false, 0, 0, (int)destination, false);
            Byte(0xB8 | ((int)destination & 7));
            Int32((int)value);
        }
        else if ((long)value == (int)value)
        {
            StoreImmediate(true, destination, (int)value);
        }
        else
        {
            Rex(true, 0, 0, (int)destination, false);
            Byte(0xB8 | ((int)destination & 7));
            Int64((long)value);
        }
    }

    public void Lea(bool wide, Reg destination, Operand source) => Rm(0, wide, 0x8D, destination, source);

    public void ZeroExtend8(Reg destination, Operand source) => Rm(0, false, Map0F | 0xB6, destination, source, byteRegister: true);

    public void ZeroExtend16(Reg destination, Operand source) => Rm(0, false, Map0F | 0xB7, destination, source);

    public void SignExtend8(bool wide, Reg destination, Operand source) =>
        Rm(0, wide, Map0F | 0xBE, destination, source, byteRegister: true);

    public void SignExtend16(bool wide, Reg destination, Operand source) => Rm(0, wide, Map0F | 0xBF, destination, source);

    public void SignExtend32(Reg destination, Operand source) => Rm(0, true, 0x63, destination, source);

    public void ShiftImmediate(Shift operation, bool wide, Operand destination, int count)
    {
        Rm(0, wide, 0xC1, (Reg)operation, destination);
        Byte(count);
    }

    public void ShiftByCl(Shift operation, bool wide, Operand destination) => Rm(0, wide, 0xD3, (Reg)operation, destination);

    /// <summary>SHRD: shifts right, with the low bits of <paramref name="upper"/> coming in from above.</summary>
    public void ShiftRightDouble(bool wide, Operand destination, Reg upper, int count)
    {
        Rm(0, wide, Map0F | 0xAC, upper, destination);
        Byte(count);
    }

    public void Not(bool wide, Operand destination) => Rm(0, wide, 0xF7, (Reg)2, destination);

    public void Negate(bool wide, Operand destination) => Rm(0, wide, 0xF7, (Reg)3, destination);

    public void Multiply(bool wide, Reg destination, Operand source) => Rm(0, wide, Map0F | 0xAF, destination, source);

    /// <summary>RDX:RAX = RAX × source.</summary>
    public void MultiplyWide(bool signed, Operand source) => Rm(0, true, 0xF7, (Reg)(signed ? 5 : 4), source);

    /// <summary>RAX = RDX:RAX ÷ source, RDX = the remainder.</summary>
    public void Divide(bool signed, bool wide, Operand source) => Rm(0, wide, 0xF7, (Reg)(signed ? 7 : 6), source);

    /// <summary>CDQ, CQO: the sign of RAX into all of RDX.</summary>
    public void SignIntoRdx(bool wide)
    {
        Rex(wide, 0, 0, 0, false);
        Byte(0x99);
    }

    public void ByteSwap(bool wide, Reg register)
    {
        Rex(wide, 0, 0, (int)register, false);
        Byte(0x0F);
        Byte(0xC8 | ((int)register & 7));
    }

    /// <summary>REP MOVSB: RCX bytes from RSI to RDI, forward.</summary>
    public void CopyBytes()
    {
        Byte(0xF3);
        Byte(0xA4);
    }

    /// <summary>REP STOSB: RCX bytes of AL from RDI on.</summary>
    public void FillBytes()
    {
        Byte(0xF3);
        Byte(0xAA);
    }

    /// <summary>POPCNT.</summary>
    public void CountOnes(bool wide, Reg destination, Operand source) => Rm(0xF3, wide, Map0F | 0xB8, destination, source);

    /// <summary>TZCNT.</summary>
    public void TrailingZeros(bool wide, Reg destination, Operand source) => Rm(0xF3, wide, Map0F | 0xBC, destination, source);

    public void LeadingZeros(bool wide, Reg destination, Operand source) => Rm(0xF3, wide, Map0F | 0xBD, destination, source);

    /// <summary>CRC32 with the Castagnoli polynomial, of <paramref name="size"/> bytes.</summary>
    public void Crc32C(int size, Reg accumulator, Operand source) =>
        Rm2(size == 2 ? 0x66 : 0, 0xF2, size == 8, Map0F38 | (size == 1 ? 0xF0 : 0xF1), accumulator, source, byteRegister: size == 1);

    public void ConditionalMove(Condition condition, bool wide, Reg destination, Operand source) =>
        Rm(0, wide, Map0F | 0x40 | (int)condition, destination, source);

    public void SetByte(Condition condition, Reg destination) =>
        Rm(0, false, Map0F | 0x90 | (int)condition, 0, destination, byteRegister: true);

    /// <summary>CF = the bit of memory or of a register.</summary>
    public void BitTest(bool wide, Operand operand, int bit)
    {
        Rm(0, wide, Map0F | 0xBA, (Reg)4, operand);
        Byte(bit);
    }

    public void ComplementCarry() => Byte(0xF5);

    /// <summary>AH = SF ZF 0 AF 0 PF 1 CF.</summary>
    public void FlagsToAh() => Byte(0x9F);

    public void FlagsFromAh() => Byte(0x9E);

    /// <summary>Adds to AL; the overflow flag is set when AL was 1 and the value is 127.</summary>
    public void AddToAl(int value)
    {
        Byte(0x04);
        Byte(value);
    }

    /// <summary>PEXT (BMI2): gathers the bits that the mask selects.</summary>
    public void GatherBits(bool wide, Reg destination, Reg source, Operand mask) => Vex(2, 2, destination, source, mask, 0xF5, wide);

    /// <summary>PDEP (BMI2): scatters the low bits to where the mask selects.</summary>
    public void ScatterBits(bool wide, Reg destination, Reg source, Operand mask) => Vex(2, 3, destination, source, mask, 0xF5, wide);

    /// <summary>SHLX, SHRX, SARX (BMI2): shifts by a register and leaves the flags alone.</summary>
    public void ShiftBy(Shift operation, bool wide, Reg destination, Operand source, Reg count) => Vex(
        2, operation switch { X64.Shift.Shl => 1, X64.Shift.Shr => 3, _ => 2 }, destination, count, source, 0xF7, wide);

    /// <summary>BLSR (BMI1): without the lowest bit that is set. ZF tells whether none is left.</summary>
    public void ClearLowestBit(bool wide, Reg destination, Operand source) => Vex(2, 0, (Reg)1, destination, source, 0xF3, wide);

    /// <summary>ANDN (BMI1): the bits of the source that are not set in the mask.</summary>
    public void AndNot(bool wide, Reg destination, Reg mask, Operand source) => Vex(2, 0, destination, mask, source, 0xF2, wide);

    /// <summary>BZHI (BMI2): without the bits from a number on, which is in a register and may be that of no bit.</summary>
    public void ClearFrom(bool wide, Reg destination, Operand source, Reg number) => Vex(2, 0, destination, number, source, 0xF5, wide);

    /// <summary>RORX (BMI2): rotates and leaves the flags alone.</summary>
    public void RotateRight(bool wide, Reg destination, Operand source, int count)
    {
        Vex(3, 3, destination, 0, source, 0xF0, wide);
        Byte(count);
    }

    public void Push(Reg register)
    {
        Rex(false, 0, 0, (int)register, false);
        Byte(0x50 | ((int)register & 7));
    }

    public void Pop(Reg register)
    {
        Rex(false, 0, 0, (int)register, false);
        Byte(0x58 | ((int)register & 7));
    }

    public void PopTo(Operand destination) => Rm(0, false, 0x8F, 0, destination);

    public void Return() => Byte(0xC3);

    /// <summary>A full barrier: <c>lock or dword [rsp], 0</c>.</summary>
    public void FullBarrier()
    {
        Byte(0xF0);
        AluImmediate(X64.Alu.Or, false, Operand.At(Reg.Rsp), 0);
    }

    /// <summary>The LOCK prefix of the next instruction.</summary>
    public void Lock() => Byte(0xF0);

    /// <summary>XCHG of 1, 2, 4 or 8 bytes; with memory it is locked in any case.</summary>
    public void Exchange(int size, Operand destination, Reg source) => Sized(size, 0x86, source, destination);

    /// <summary>XADD: adds to memory; the register takes what was there.</summary>
    public void ExchangeAdd(int size, Operand destination, Reg source) => Sized(size, Map0F | 0xC0, source, destination);

    /// <summary>CMPXCHG: where memory equals RAX it becomes <paramref name="desired"/>, ZF = 1; else RAX takes what is there.</summary>
    public void CompareExchange(int size, Operand destination, Reg desired) => Sized(size, Map0F | 0xB0, desired, destination);

    /// <summary>CMPXCHG16B: where memory equals RDX:RAX it becomes RCX:RBX, ZF = 1; else RDX:RAX take what is there.</summary>
    public void CompareExchange16(Operand destination) => Rm(0, true, Map0F | 0xC7, (Reg)1, destination);

    /// <summary>An operation on 1, 2, 4 or 8 bytes of memory.</summary>
    public void AluTo(Alu operation, int size, Operand destination, Reg source) => Sized(size, (int)operation << 3, source, destination);

    public void CallTo(Operand target) => Rm(0, false, 0xFF, (Reg)2, target);

    public void JumpTo(Operand target) => Rm(0, false, 0xFF, (Reg)4, target);

    public void Jump(byte* target)
    {
        Byte(0xE9);
        Int32((int)(target - (Position + 4)));
    }

    public void Jump(Condition condition, byte* target)
    {
        Byte(0x0F);
        Byte(0x80 | (int)condition);
        Int32((int)(target - (Position + 4)));
    }

    public void Call(byte* target)
    {
        Byte(0xE8);
        Int32((int)(target - (Position + 4)));
    }

    /// <summary>A jump with a displacement to be filled by <see cref="Bind"/>; returns the place of its displacement.</summary>
    public byte* JumpForward()
    {
        Byte(0xE9);
        Int32(0);
        return Position - 4;
    }

    public byte* JumpForward(Condition condition)
    {
        Byte(0x0F);
        Byte(0x80 | (int)condition);
        Int32(0);
        return Position - 4;
    }

    /// <summary>The same, to less than 128 bytes away: <see cref="BindShort"/>.</summary>
    public byte* JumpShort(Condition condition)
    {
        Byte(0x70 | (int)condition);
        Byte(0);
        return Position - 1;
    }

    public byte* JumpShort()
    {
        Byte(0xEB);
        Byte(0);
        return Position - 1;
    }

    /// <summary>Lets a forward jump go to the current position.</summary>
    public void Bind(byte* displacement) => Link(displacement, Position);

    /// <summary>A jump back to less than 128 bytes away.</summary>
    public void JumpBack(Condition condition, byte* target)
    {
        Byte(0x70 | (int)condition);
        Byte((int)(target - (Position + 1)));
    }

    public void BindShort(byte* displacement) => *displacement = checked((byte)(sbyte)(Position - (displacement + 1)));

    /// <summary>Lets the jump with its displacement there go to a target.</summary>
    public static void Link(byte* displacement, byte* target) => *(int*)displacement = (int)(target - (displacement + 4));

    /// <summary>
    /// NOPs until a jump's displacement, which follows its opcode of <paramref name="opcodeBytes"/>, would be aligned to 4 bytes.
    /// </summary>
    public void AlignDisplacement(int opcodeBytes)
    {
        // One instruction that does nothing, of so many bytes.
        switch (-(int)(nint)(Position + opcodeBytes) & 3)
        {
            case 1:
                Byte(0x90);
                break;
            case 2:
                Byte(0x66);
                Byte(0x90);
                break;
            case 3:
                Byte(0x0F);
                Byte(0x1F);
                Byte(0x00);
                break;
        }
    }

    /// <summary>Loads 1, 2, 4 or 8 bytes, extended to 4 bytes or, where <paramref name="wide"/>, to 8.</summary>
    public void LoadSized(Reg target, Operand place, int size, bool signed, bool wide)
    {
        switch (size, signed)
        {
            case (1, false):
                ZeroExtend8(target, place);
                break;
            case (2, false):
                ZeroExtend16(target, place);
                break;
            case (1, true):
                SignExtend8(wide, target, place);
                break;
            case (2, true):
                SignExtend16(wide, target, place);
                break;
            case (4, true) when wide:
                SignExtend32(target, place);
                break;
            default:
                Load(size == 8, target, place);
                break;
        }
    }

    /// <summary>Stores the low 1, 2, 4 or 8 bytes of a register.</summary>
    public void StoreSized(Operand place, Reg source, int size)
    {
        switch (size)
        {
            case 1:
                Store8(place, source);
                break;
            case 2:
                Store16(place, source);
                break;
            default:
                Store(size == 8, place, source);
                break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Byte(int value)
    {
        byte* at = Position;
        *at = (byte)value;
        Position = at + 1;
    }

    /// <summary>Data of a multiple of 8 bytes.</summary>
    public void Data<T>(in T value)
        where T : unmanaged
    {
        *(T*)Position = value;
        Position += sizeof(T);
    }

    public void Int32(int value)
    {
        *(int*)Position = value;
        Position += 4;
    }

    public void Int64(long value)
    {
        *(long*)Position = value;
        Position += 8;
    }

    private void Rex(bool wide, int reg, int index, int rm, bool force) => Position = Rex(Position, wide, reg, index, rm, force);

    private static byte* Rex(byte* at, bool wide, int reg, int index, int rm, bool force)
    {
        int rex = (wide ? 8 : 0) | (reg >> 3 << 2) | (index >> 3 << 1) | (rm >> 3);
        if (rex != 0 || force)
        {
            *at++ = (byte)(0x40 | rex);
        }

        return at;
    }

    // An opcode that is that of bytes when even.
    private void Sized(int size, int opcode, Reg reg, Operand rm) =>
        Rm(size == 2 ? 0x66 : 0, size == 8, size == 1 ? opcode : opcode | 1, reg, rm, byteRegister: size == 1);

    private void Rm(int prefix, bool wide, int opcode, Reg reg, Operand rm, bool byteRegister = false) =>
        Rm2(0, prefix, wide, opcode, reg, rm, byteRegister);

    // The place is kept in a local while the bytes are written: nearly all instructions come through here.
    private void Rm2(int prefix66, int prefix, bool wide, int opcode, Reg reg, Operand rm, bool byteRegister)
    {
        byte* at = Position;
        if (prefix66 != 0)
        {
            *at++ = (byte)prefix66;
        }

        if (prefix != 0)
        {
            *at++ = (byte)prefix;
        }

        // SPL, BPL, SIL, DIL need a REX prefix to be named at all.
        bool force = byteRegister && (reg is >= Reg.Rsp and <= Reg.Rdi || (!rm.IsMemory && rm.Base is >= Reg.Rsp and <= Reg.Rdi));
        at = Rex(at, wide, (int)reg, rm.Index == Reg.None ? 0 : (int)rm.Index, (int)rm.Base, force);
        if (opcode >= Map0F38)
        {
            *at++ = 0x0F;
            *at++ = (byte)(opcode >= Map0F3A ? 0x3A : 0x38);
        }
        else if (opcode >= Map0F)
        {
            *at++ = 0x0F;
        }

        *at++ = (byte)opcode;
        Position = ModRm(at, (int)reg & 7, rm);
    }

    private void ModRm(int reg, Operand rm) => Position = ModRm(Position, reg, rm);

    private static byte* ModRm(byte* at, int reg, Operand rm)
    {
        int b = (int)rm.Base & 7;
        if (!rm.IsMemory)
        {
            *at++ = (byte)(0xC0 | (reg << 3) | b);
            return at;
        }

        // RBP and R13 as a base always have a displacement; RSP and R12 always a SIB byte.
        int mod = rm.Displacement == 0 && b != 5 ? 0 : rm.Displacement == (sbyte)rm.Displacement ? 0x40 : 0x80;
        if (rm.Index != Reg.None)
        {
            *at++ = (byte)(mod | (reg << 3) | 4);
            *at++ = (byte)((rm.ScaleBits << 6) | (((int)rm.Index & 7) << 3) | b);
        }
        else if (b == 4)
        {
            *at++ = (byte)(mod | (reg << 3) | 4);
            *at++ = 0x24;
        }
        else
        {
            *at++ = (byte)(mod | (reg << 3) | b);
        }

        if (mod == 0x40)
        {
            *at++ = (byte)rm.Displacement;
        }
        else if (mod == 0x80)
        {
            *(int*)at = rm.Displacement;
            at += sizeof(int);
        }

        return at;
    }

    // VEX: map 1 is 0F, 2 is 0F 38, 3 is 0F 3A; prefix 1 is 66, 2 F3, 3 F2. Of two bytes where that can say it.
    private void Vex(int map, int prefix, Reg reg, Reg second, Operand rm, int opcode, bool wide = false)
    {
        int index = rm.Index == Reg.None ? 0 : (int)rm.Index;
        int last = ((~(int)second & 15) << 3) | prefix;
        int extension = (int)reg >= 8 ? 0 : 0x80;
        if (map == 1 && !wide && index < 8 && (int)rm.Base < 8)
        {
            Byte(0xC5);
            Byte(extension | last);
        }
        else
        {
            Byte(0xC4);
            Byte(extension | (index >= 8 ? 0 : 0x40) | ((int)rm.Base >= 8 ? 0 : 0x20) | map);
            Byte((wide ? 0x80 : 0) | last);
        }

        Byte(opcode);
        ModRm((int)reg & 7, rm);
    }
}
