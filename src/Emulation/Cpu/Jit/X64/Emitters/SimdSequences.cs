using Vmm.Emulation.Cpu.Interpreter;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>Short sequences of host instructions that several SIMD emitters use. XMM0 to XMM3 are scratch.</summary>
internal static unsafe class SimdSequences
{
    // FPSR.QC.
    private const int CumulativeSaturation = 1 << 27;

    // The second source: m, or its element in every place of XMM1.
    public static int Multiplier(BlockEmitter e, Op* op, VectorOp what)
    {
        int m = e.Vectors.Read(op->Rm);
        if (!what.Element)
        {
            return m;
        }

        Broadcast(e, 1, m, op->Extra, (int)op->Imm);
        return 1;
    }

    // FPSR.QC is set where one of so many bytes is zero. Flags are lost; uses RDX.
    public static void NoteSaturation(BlockEmitter e, int unsaturated, int bytes)
    {
        e.Asm.TopBits(Rdx, unsaturated);
        e.Asm.Not(false, Rdx);
        e.Asm.AluImmediate(Alu.And, false, Rdx, (1 << bytes) - 1);
        e.Asm.Negate(false, Rdx);
        e.Asm.Alu(Alu.Sbb, false, Rdx, Rdx);
        e.Asm.AluImmediate(Alu.And, false, Rdx, CumulativeSaturation);
        e.Asm.AluTo(Alu.Or, false, HostRegisters.Fpsr, Rdx);
    }

    // An element in every place of 64 bits.
    public static ulong Replicate(ulong element, int size)
    {
        for (int bits = 8 << size; bits < 64; bits *= 2)
        {
            element |= element << bits;
        }

        return element;
    }

    public static ulong SignBits(int size) => Replicate(1ul << ((8 << size) - 1), size);

    // Both halves of a register. Uses RDX.
    public static void Constant(BlockEmitter e, int register, ulong half)
    {
        if (half == 0)
        {
            e.Asm.Packed(Packed.Xor, register, register);
        }
        else if (half == ulong.MaxValue)
        {
            e.Asm.Packed(Packed.EqualS, register, register);
        }
        else
        {
            e.Asm.LoadImmediate(Rdx, half);
            e.Asm.LoadXmmGeneral(true, register, Rdx);
            e.Asm.Packed(Packed.UnpackLowD, register, register);
        }
    }

    // Uses XMM3.
    public static void Invert(BlockEmitter e, int register)
    {
        e.Asm.Packed(Packed.EqualS, 3, 3);
        e.Asm.Packed(Packed.Xor, register, 3);
    }

    // XMM0 to a V register: so many low bytes, 1 to 8 or 16; the rest is zero.
    public static void StoreVector(BlockEmitter e, int vector, int bytes)
    {
        switch (bytes)
        {
            case 16:
                e.Asm.CopyXmm(e.Vectors.Overwrite(vector), 0);
                break;
            case 4 or 8:
                e.Asm.CopyLow(bytes == 8, e.Vectors.Overwrite(vector), 0);
                break;
            default:
                // Past the wanted bytes there may be anything.
                e.Asm.ExtractElement(bytes - 1, Rdx, 0, 0);
                e.Asm.LoadXmmGeneral(false, e.Vectors.Overwrite(vector), Rdx);
                break;
        }
    }

    // low = the even or the odd elements of high:low. High is lost.
    public static void Deinterleave(BlockEmitter e, int low, int high, int size, bool odd)
    {
        if (size == 2)
        {
            e.Asm.ShuffleTwo(low, low, high, odd ? 0xDD : 0x88);
            return;
        }

        if (size == 3)
        {
            e.Asm.Packed(odd ? Packed.UnpackHighD : Packed.UnpackLowD, low, high);
            return;
        }

        int wide = 2 << size;
        int bits = 8 << size;
        foreach (int register in low == high ? [low] : (ReadOnlySpan<int>)[low, high])
        {
            if (!odd)
            {
                e.Asm.PackedShift(PackedShift.Left, wide, register, bits);
            }

            e.Asm.PackedShift(PackedShift.Right, wide, register, bits);
        }

        e.Asm.Packed(size == 0 ? Packed.PackH : Packed.PackS, low, high);
    }

    // Uses RDX.
    public static void Constant(BlockEmitter e, int register, ulong low, ulong high)
    {
        e.Asm.LoadImmediate(Rdx, low);
        e.Asm.LoadXmmGeneral(true, register, Rdx);
        e.Asm.LoadImmediate(Rdx, high);
        e.Asm.InsertElement(3, register, register, Rdx, 1);
    }

    // An element in every place. One or two instructions.
    public static void Broadcast(BlockEmitter e, int destination, int source, int size, int index)
    {
        switch (size)
        {
            case 3:
                e.Asm.ShuffleWords(destination, source, index == 0 ? 0x44 : 0xEE);
                return;
            case 2:
                e.Asm.ShuffleWords(destination, source, index * 0x55);
                return;
        }

        if (index != 0)
        {
            e.Asm.ShiftBytesRight(destination, source, index << size);
            source = destination;
        }

        e.Asm.PackedOne(size == 0 ? Packed.BroadcastB : Packed.BroadcastH, destination, (Reg)source);
    }

    // A V register's low bytes; a load clears the rest.
    public static void VectorTransfer(BlockEmitter e, int register, Operand place, int size, bool load)
    {
        switch (size)
        {
            case 16 when load:
                e.Asm.LoadXmm(e.Vectors.Overwrite(register), place);
                break;
            case 16:
                e.Asm.StoreXmm(place, e.Vectors.Read(register));
                break;
            case 8 when load:
                e.Asm.LoadXmm64(e.Vectors.Overwrite(register), place);
                break;
            case 8:
                e.Asm.StoreXmm64(place, e.Vectors.Read(register));
                break;
            case 4 when load:
                e.Asm.LoadXmmGeneral(false, e.Vectors.Overwrite(register), place);
                break;
            case 4:
                e.Asm.StoreXmm32(place, e.Vectors.Read(register));
                break;
            default:
                if (load)
                {
                    e.Asm.LoadSized(Rdx, place, size, signed: false, wide: false);
                    e.Asm.LoadXmmGeneral(false, e.Vectors.Overwrite(register), Rdx);
                }
                else
                {
                    e.Asm.ExtractElement(size - 1, place, e.Vectors.Read(register), 0);
                }

                break;
        }
    }
}
