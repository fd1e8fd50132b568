using Vmm.Emulation.Cpu.Jit.X64.Emitters;

namespace Vmm.Emulation.Cpu.Jit.X64;

/// <summary>
/// Z registers in pieces of 16 bytes, and masks of predicates, for the vector length that the block is for. The first piece of a Z register
/// is its V register, which may be in an XMM register (<see cref="VectorCache"/>); the others are memory operands. Where
/// <see cref="CpuState.ScalableLive"/> says that the other pieces are zero, zeros are written there before they are first read, and the
/// register is <i>real</i> from there on: no other instruction of the stretch looks again.
/// <para>A predicate is one doubleword, for vectors have 64 bytes at most.</para>
/// </summary>
internal sealed unsafe class ScalableVectors(Assembler asm, FlagCache flags, VectorCache vectors, Thunks thunks)
{
    private const int Piece = ScalableRegisters.LowBytes;

    // The lowest bit of each element among 8 bits of a predicate, by log2 of the bytes of an element.
    private static ReadOnlySpan<byte> ActiveBits => [0xFF, 0x55, 0x11, 0x01];

    // The Z registers, by bit, that are real, and those of which memory says that their other pieces are zero.
    private uint _real;
    private uint _clear;

    /// <summary>Bytes of a vector.</summary>
    public int Length { get; private set; }

    /// <summary>Pieces of a vector: 1 to 4.</summary>
    public int Pieces => Length / Piece;

    /// <summary>Begins a block.</summary>
    /// <param name="length">The vector length, in bytes, that its code is for; 0 without SVE.</param>
    public void Begin(int length) => Length = length;

    /// <summary>From here on nothing is known.</summary>
    public void Forget() => _real = _clear = 0;

    /// <summary>An instruction of FP or SIMD has written a V register: the rest of the Z register is zero.</summary>
    public void Clear(int vector)
    {
        if (Length != Piece && (_clear & (1u << vector)) == 0)
        {
            asm.Store8Immediate(HostRegisters.ScalableLive(vector), 0);
            _clear |= 1u << vector;
            _real &= ~(1u << vector);
        }
    }

    /// <summary>Makes a Z register real, which is to be read. Gives EFLAGS up; uses RAX and XMM0.</summary>
    public void MakeReal(int vector)
    {
        if (Length == Piece || (_real & (1u << vector)) != 0)
        {
            return;
        }

        flags.GiveUp();
        asm.ZeroExtend8(Reg.Rax, HostRegisters.ScalableLive(vector));
        asm.Test(false, Reg.Rax, Reg.Rax);
        byte* real = asm.JumpShort(Condition.NotEqual);
        asm.Packed(Packed.Xor, 0, 0);
        for (int i = 1; i < Pieces; i++)
        {
            asm.StoreXmm(HostRegisters.Scalable(vector, i), 0);
        }

        asm.Store8Immediate(HostRegisters.ScalableLive(vector), 1);
        asm.BindShort(real);
        NoteReal(vector);
    }

    private void NoteReal(int vector)
    {
        _real |= 1u << vector;
        _clear &= ~(1u << vector);
    }

    /// <summary>A register that holds a piece of a Z register that is real, to be read only: its own, or the scratch.</summary>
    public int Read(int vector, int piece, int scratch)
    {
        if (piece == 0)
        {
            return vectors.Read(vector);
        }

        asm.LoadXmm(scratch, HostRegisters.Scalable(vector, piece));
        return scratch;
    }

    /// <summary>
    /// Writes a piece of a Z register from a scratch register. No way out may follow within this instruction, and it writes all pieces.
    /// </summary>
    public void Write(int vector, int piece, int register)
    {
        if (piece == 0)
        {
            asm.CopyXmm(vectors.Overwrite(vector), register);
            return;
        }

        asm.StoreXmm(HostRegisters.Scalable(vector, piece), register);
        if (piece == 1)
        {
            NoteWritten(vector);
        }
    }

    /// <summary>All pieces of a Z register are written.</summary>
    public void NoteWritten(int vector)
    {
        if (Length != Piece && (_real & (1u << vector)) == 0)
        {
            asm.Store8Immediate(HostRegisters.ScalableLive(vector), 1);
            NoteReal(vector);
        }
    }

    /// <summary>Sets a register to ones where elements of a piece are active.</summary>
    /// <param name="size">log2 of the bytes of an element.</param>
    public void Mask(int register, int predicate, int piece, int size)
    {
        Operand selection = HostRegisters.ScalableConstant(ScalableConstants.Selection(size));
        asm.PackedOne(Packed.BroadcastH, register, HostRegisters.Predicate(predicate, piece * 2));
        if (size == 0)
        {
            asm.Packed(Packed.ShuffleB, register, register, HostRegisters.ScalableConstant(ScalableConstants.ByteOrder));
        }

        asm.Packed(Packed.And, register, register, selection);
        asm.Packed(Equal(size), register, register, selection);
    }

    /// <summary>The comparison of elements for equality.</summary>
    public static Packed Equal(int size) => size switch
    {
        0 => Packed.EqualB,
        1 => Packed.EqualH,
        2 => Packed.EqualS,
        _ => Packed.EqualD,
    };

    /// <summary>A predicate with the first elements true, and nothing else.</summary>
    /// <param name="size">log2 of the bytes of an element.</param>
    public static ulong First(int count, int size)
    {
        ulong bits = SimdSequences.Replicate(ActiveBits[size], 0);
        return count << size >= 64 ? bits : bits & ((1ul << (count << size)) - 1);
    }

    /// <summary>A predicate with all elements true.</summary>
    public ulong All(int size) => First(Length >> size, size);

    /// <summary>
    /// Stores the active elements of a vector, one by one, to the address RAX + RCX. The vector is in
    /// <see cref="HostRegisters.ScalableRoom"/>, and RDX has the lowest bit of each active element. Uses RAX, RCX and RDX.
    /// </summary>
    public void StoreElements(int size) => asm.Call(thunks.StoreElements[size]);
}
