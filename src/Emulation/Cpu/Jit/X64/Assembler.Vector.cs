using System.Runtime.Intrinsics.X86;

namespace Vmm.Emulation.Cpu.Jit.X64;

/// <content>
/// Instructions on XMM registers, which are given by number. All are in their AVX forms: three operands save copies, and the host need not
/// switch between SSE and AVX.
/// </content>
internal sealed unsafe partial class Assembler
{
    /// <summary>MOVDQU: 16 bytes.</summary>
    public void LoadXmm(int register, Operand source) => Vex(1, 2, (Reg)register, 0, source, 0x6F);

    public void StoreXmm(Operand destination, int register) => Vex(1, 2, (Reg)register, 0, destination, 0x7F);

    /// <summary>MOVQ: 8 bytes of memory, zero-extended.</summary>
    public void LoadXmm64(int register, Operand source) => Vex(1, 2, (Reg)register, 0, source, 0x7E);

    public void StoreXmm64(Operand destination, int register) => Vex(1, 1, (Reg)register, 0, destination, 0xD6);

    /// <summary>MOVHPS: the upper 8 bytes to memory.</summary>
    public void StoreXmmHigh(Operand destination, int register) => Vex(1, 0, (Reg)register, 0, destination, 0x17);

    /// <summary>MOVD: 4 bytes to memory.</summary>
    public void StoreXmm32(Operand destination, int register) => Vex(1, 1, (Reg)register, 0, destination, 0x7E);

    /// <summary>MOVD, MOVQ: from a general register or memory, zero-extended.</summary>
    public void LoadXmmGeneral(bool wide, int register, Operand source) => Vex(1, 1, (Reg)register, 0, source, 0x6E, wide);

    /// <summary>MOVD, MOVQ to a general register.</summary>
    public void StoreXmmGeneral(bool wide, Reg destination, int register) => Vex(1, 1, (Reg)register, 0, destination, 0x7E, wide);

    /// <summary>MOVDQA between registers.</summary>
    public void CopyXmm(int destination, int source) => Vex(1, 1, (Reg)destination, 0, (Reg)source, 0x6F);

    /// <summary>The low 4 or 8 bytes of a register, the rest zero: INSERTPS, MOVQ.</summary>
    public void CopyLow(bool isDouble, int destination, int source)
    {
        if (isDouble)
        {
            Vex(1, 2, (Reg)destination, 0, (Reg)source, 0x7E);
        }
        else
        {
            Vex(3, 1, (Reg)destination, (Reg)source, (Reg)source, 0x21);
            Byte(0x0E);
        }
    }

    /// <summary>A packed operation: destination = left op right.</summary>
    public void Packed(Packed operation, int destination, int left, int right) =>
        Mapped((int)operation, (Reg)destination, (Reg)left, (Reg)right);

    /// <summary>The same with 16 bytes of memory on the right.</summary>
    public void Packed(Packed operation, int destination, int left, Operand right) =>
        Mapped((int)operation, (Reg)destination, (Reg)left, right);

    public void Packed(Packed operation, int destination, int source) => Packed(operation, destination, destination, source);

    /// <summary>One of those with one source: absolute values, extensions, broadcasts.</summary>
    public void PackedOne(Packed operation, int destination, Operand source) => Mapped((int)operation, (Reg)destination, 0, source);

    /// <summary>PBLENDVB: bytes of <paramref name="ifSet"/> where the top bit of the mask is set.</summary>
    public void Blend(int destination, int otherwise, int ifSet, int mask)
    {
        Vex(3, 1, (Reg)destination, (Reg)otherwise, (Reg)ifSet, 0x4C);
        Byte(mask << 4);
    }

    /// <summary>A shift of elements of 2, 4 or 8 bytes by an immediate.</summary>
    public void PackedShift(PackedShift operation, int elementSize, int destination, int source, int count)
    {
        Vex(1, 1, (Reg)operation, (Reg)destination, (Reg)source, elementSize == 2 ? 0x71 : elementSize == 4 ? 0x72 : 0x73);
        Byte(count);
    }

    public void PackedShift(PackedShift operation, int elementSize, int register, int count) =>
        PackedShift(operation, elementSize, register, register, count);

    /// <summary>Whether the host has VPRORD and VPRORQ (AVX-512 with vectors of 128 bits).</summary>
    public static bool HasRotations => Avx512F.VL.IsSupported;

    /// <summary>VPRORD, VPRORQ: elements of 4 or 8 bytes rotated right, where the host <see cref="HasRotations"/>; in EVEX form.</summary>
    public void RotateRight(bool wide, int destination, int source, int count)
    {
        Byte(0x62);
        Byte(source >= 8 ? 0xD1 : 0xF1);
        Byte((wide ? 0x85 : 0x05) | ((~destination & 15) << 3));
        Byte(0x08);
        Byte(0x72);
        ModRm(0, (Reg)source);
        Byte(count);
    }

    /// <summary>VPSLLV, VPSRLV, VPSRAV: shifts of words or doublewords, each by its own count.</summary>
    public void ShiftEach(PackedShift operation, bool wide, int destination, int source, int counts) => Vex(
        2,
        1,
        (Reg)destination,
        (Reg)source,
        (Reg)counts,
        operation switch { X64.PackedShift.Left => 0x47, X64.PackedShift.Right => 0x45, _ => 0x46 },
        wide);

    /// <summary>PSRLDQ: shifts all of a register right, by bytes.</summary>
    public void ShiftBytesRight(int destination, int source, int count) => PackedShift((PackedShift)3, 8, destination, source, count);

    /// <summary>PALIGNR: high:low, shifted right by bytes.</summary>
    public void AlignRight(int destination, int high, int low, int count)
    {
        Vex(3, 1, (Reg)destination, (Reg)high, (Reg)low, 0x0F);
        Byte(count);
    }

    /// <summary>PSHUFD: chooses words of the source by pairs of bits.</summary>
    public void ShuffleWords(int destination, int source, int order)
    {
        Vex(1, 1, (Reg)destination, 0, (Reg)source, 0x70);
        Byte(order);
    }

    /// <summary>SHUFPS: two words of the left, then two of the right.</summary>
    public void ShuffleTwo(int destination, int left, int right, int order)
    {
        Vex(1, 0, (Reg)destination, (Reg)left, (Reg)right, 0xC6);
        Byte(order);
    }

    /// <summary>PEXTR: an element to a general register, zero-extended, or to memory.</summary>
    public void ExtractElement(int sizeBits, Operand destination, int source, int index)
    {
        Vex(3, 1, (Reg)source, 0, destination, sizeBits switch { 0 => 0x14, 1 => 0x15, _ => 0x16 }, sizeBits == 3);
        Byte(index);
    }

    /// <summary>PINSR: an element from a general register or memory; the other elements are those of <paramref name="others"/>.</summary>
    public void InsertElement(int sizeBits, int destination, int others, Operand source, int index)
    {
        Vex(
            sizeBits == 1 ? 1 : 3,
            1,
            (Reg)destination,
            (Reg)others,
            source,
            sizeBits switch { 0 => 0x20, 1 => 0xC4, _ => 0x22 },
            sizeBits == 3);
        Byte(index);
    }

    /// <summary>PCLMULQDQ: the carry-less product of a half of each, chosen by bits 0 and 4.</summary>
    public void CarrylessMultiply(int destination, int left, int right, int halves)
    {
        Vex(3, 1, (Reg)destination, (Reg)left, (Reg)right, 0x44);
        Byte(halves);
    }

    /// <summary>PMOVMSKB: the top bits of the sixteen bytes.</summary>
    public void TopBits(Reg destination, int source) => Vex(1, 1, destination, 0, (Reg)source, 0xD7);

    /// <summary>
    /// A scalar floating-point operation: destination = left op right; what has one source takes the rest of the register from left.
    /// </summary>
    public void Scalar(Scalar operation, bool isDouble, int destination, int left, int right) =>
        Vex(1, isDouble ? 3 : 2, (Reg)destination, (Reg)left, (Reg)right, (int)operation & 0xFF);

    /// <summary>The same on all elements of a register.</summary>
    public void PackedScalar(Scalar operation, bool isDouble, int destination, int left, int right) => Vex(
        1, isDouble ? 1 : 0, (Reg)destination, operation == X64.Scalar.SquareRoot ? 0 : (Reg)left, (Reg)right, (int)operation & 0xFF);

    /// <summary>CMPPS, CMPPD: all ones where the condition holds.</summary>
    public void PackedCompare(FloatCondition condition, bool isDouble, int destination, int left, int right)
    {
        Vex(1, isDouble ? 1 : 0, (Reg)destination, (Reg)left, (Reg)right, 0xC2);
        Byte((int)condition);
    }

    /// <summary>ROUNDPS, ROUNDPD: to integers, in a mode of the instruction; raises nothing for inexact ones with bit 3.</summary>
    public void PackedRound(bool isDouble, int destination, int source, int mode)
    {
        Vex(3, 1, (Reg)destination, 0, (Reg)source, isDouble ? 0x09 : 0x08);
        Byte(mode);
    }

    /// <summary>CVTDQ2PS: signed words to singles.</summary>
    public void WordsToSingles(int destination, int source) => Vex(1, 0, (Reg)destination, 0, (Reg)source, 0x5B);

    /// <summary>CVTTPS2DQ: singles to signed words, towards zero; the least integer for what has no result.</summary>
    public void SinglesToWords(int destination, int source) => Vex(1, 2, (Reg)destination, 0, (Reg)source, 0x5B);

    /// <summary>CVTPS2PD, CVTPD2PS: two elements to the other precision.</summary>
    public void ConvertPair(bool fromDouble, int destination, int source) =>
        Vex(1, fromDouble ? 1 : 0, (Reg)destination, 0, (Reg)source, 0x5A);

    /// <summary>CVTDQ2PD: two signed words to doubles.</summary>
    public void WordsToDoubles(int destination, int source) => Vex(1, 2, (Reg)destination, 0, (Reg)source, 0xE6);

    /// <summary>CVTTPD2DQ: doubles to two signed words, towards zero; the least integer for what has no result.</summary>
    public void DoublesToWords(int destination, int source) => Vex(1, 1, (Reg)destination, 0, (Reg)source, 0xE6);

    /// <summary>HADDPS, HADDPD: sums of adjacent elements of the left, then of the right.</summary>
    public void AddAdjacent(bool isDouble, int destination, int left, int right) =>
        Vex(1, isDouble ? 1 : 3, (Reg)destination, (Reg)left, (Reg)right, 0x7C);

    /// <summary>UCOMISS, UCOMISD: ZF, PF and CF; PF = 1 when unordered. The others are 0.</summary>
    public void CompareScalar(bool isDouble, int left, int right) => Vex(1, isDouble ? 1 : 0, (Reg)left, 0, (Reg)right, 0x2E);

    /// <summary>CVTSI2SS, CVTSI2SD: from a signed integer; the rest of the register stays.</summary>
    public void IntegerToScalar(bool isDouble, bool wide, int destination, Operand source) =>
        Vex(1, isDouble ? 3 : 2, (Reg)destination, (Reg)destination, source, 0x2A, wide);

    /// <summary>CVTTSS2SI, CVTTSD2SI: towards zero; the least integer for what has no result.</summary>
    public void ScalarToInteger(bool isDouble, bool wide, Reg destination, int source) =>
        Vex(1, isDouble ? 3 : 2, destination, 0, (Reg)source, 0x2C, wide);

    /// <summary>VFMADD231 and its kin (FMA3): addend = ± (a × b) ± addend.</summary>
    public void Fused(Fused operation, bool isDouble, int addend, int a, int b) =>
        Vex(2, 1, (Reg)addend, (Reg)a, (Reg)b, (int)operation, isDouble);

    /// <summary>The same on all elements of a register: the opcode below.</summary>
    public void PackedFused(Fused operation, bool isDouble, int addend, int a, int b) =>
        Vex(2, 1, (Reg)addend, (Reg)a, (Reg)b, (int)operation - 1, isDouble);

    /// <summary>SHA256RNDS2, whose words are in XMM0, SHA256MSG1, SHA256MSG2: of XMM0 to XMM7. They have no AVX form.</summary>
    public void Sha256(ShaStep step, int destination, int source)
    {
        Byte(0x0F);
        Byte(0x38);
        Byte((int)step);
        ModRm(destination, (Reg)source);
    }

    /// <summary>SHA1RNDS4: of XMM0 to XMM7.</summary>
    public void Sha1Rounds(int destination, int source, ShaFunction function)
    {
        Byte(0x0F);
        Byte(0x3A);
        Byte(0xCC);
        ModRm(destination, (Reg)source);
        Byte((int)function);
    }

    private void Mapped(int opcode, Reg reg, Reg second, Operand rm) => Vex(opcode >= Map0F38 ? 2 : 1, 1, reg, second, rm, opcode & 0xFF);
}
