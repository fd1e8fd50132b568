using Vmm.Emulation.Cpu.Interpreter;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>Short sequences of host instructions that several SIMD emitters use. XMM0 to XMM3 are scratch.</summary>
internal static unsafe class SimdSequences
{
    /// <summary>FPSR.QC.</summary>
    private const int CumulativeSaturation = 1 << 27;

    /// <summary>The register that holds the second source: m, or XMM1 with the element of m in every place.</summary>
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

    /// <summary>Sets FPSR.QC where one of the first bytes of a register is zero. Overwrites EFLAGS. Uses RDX.</summary>
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

    /// <summary>
    /// Elements rotated right, by 1 to one bit less than all. The scratch register is neither of the others; elements of a byte use XMM1,
    /// too.
    /// </summary>
    /// <param name="size">log2 of the bytes of an element.</param>
    public static void RotateRight(BlockEmitter e, int size, int target, int source, int count, int scratch)
    {
        if (Assembler.HasRotations && size >= 2)
        {
            e.Asm.RotateRight(size == 3, target, source, count);
            return;
        }

        SimdShiftEmitters.ShiftElements(e, PackedShift.Left, scratch, source, size, (8 << size) - count);
        SimdShiftEmitters.ShiftElements(e, PackedShift.Right, target, source, size, count);
        e.Asm.Packed(Packed.Or, target, scratch);
    }

    /// <summary>64 bits with an element in every place.</summary>
    /// <param name="size">log2 of the bytes of an element.</param>
    public static ulong Replicate(ulong element, int size)
    {
        for (int bits = 8 << size; bits < 64; bits *= 2)
        {
            element |= element << bits;
        }

        return element;
    }

    /// <summary>64 bits with the top bit of every element set.</summary>
    public static ulong SignBits(int size) => Replicate(1ul << ((8 << size) - 1), size);

    /// <summary>Sets both halves of a register to a constant. Uses RDX.</summary>
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

    /// <summary>Inverts all bits of a register. Uses XMM3.</summary>
    public static void Invert(BlockEmitter e, int register)
    {
        e.Asm.Packed(Packed.EqualS, 3, 3);
        e.Asm.Packed(Packed.Xor, register, 3);
    }

    /// <summary>V register = the low 1 to 8 or 16 bytes of XMM0. The rest becomes zero.</summary>
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
                // XMM0 may hold anything above the bytes that are wanted.
                e.Asm.ExtractElement(bytes - 1, Rdx, 0, 0);
                e.Asm.LoadXmmGeneral(false, e.Vectors.Overwrite(vector), Rdx);
                break;
        }
    }

    /// <summary>low = the even or the odd elements of high:low. Overwrites <paramref name="high"/>.</summary>
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

    /// <summary>Sets a register to a constant of 16 bytes. Uses RDX.</summary>
    public static void Constant(BlockEmitter e, int register, ulong low, ulong high)
    {
        e.Asm.LoadImmediate(Rdx, low);
        e.Asm.LoadXmmGeneral(true, register, Rdx);
        e.Asm.LoadImmediate(Rdx, high);
        e.Asm.InsertElement(3, register, register, Rdx, 1);
    }

    /// <summary>Puts an element of the source into every place of the destination, in one or two instructions.</summary>
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

    /// <summary>Loads or stores the low bytes of a V register. A load clears the rest. Uses RDX.</summary>
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
