using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// LD1 to LD4 and ST1 to ST4. All bytes of a structure are looked up together; a structure that crosses a page is left to the interpreter,
/// as are LD3 and ST3 of interleaved elements. Interleaving takes up to 7 host instructions for each register of LD2 and ST2, and up to 19
/// for LD4 and ST4.
/// </summary>
internal static unsafe class SimdStructureEmitters
{
    private static bool IsLoad(Op* op) => (op->Word & (1u << 22)) != 0;

    // Looks up all bytes of a structure at Rn. Returns their place in host memory: RAX + RCX.
    private static Operand Structure(BlockEmitter e, Op* op, int bytes)
    {
        e.Floats.CheckEnabled(op);
        e.Flags.GiveUp();
        e.Cover.CheckStack(op);
        e.Registers.Copy(Rax, op->Rn);
        e.Cover.ProbeBase(op, bytes, bytes, !IsLoad(op), default);
        if (!IsLoad(op))
        {
            e.Tlb.LogStore(bytes);
        }

        return Operand.At(Rax, Rcx, 0);
    }

    // Post-index: Imm is what is added to Rn. All ones stand for register Rm, zero for no write-back.
    private static void AdvanceBase(BlockEmitter e, Op* op)
    {
        if (op->Imm == 0)
        {
            return;
        }

        if (op->Imm == ulong.MaxValue)
        {
            e.Asm.Lea(true, Rax, Operand.At(Rax, e.Registers.In(op->Rm, Rcx), 0));
        }
        else
        {
            e.Asm.Lea(true, Rax, Operand.At(Rax, (int)op->Imm));
        }

        e.Registers.Out(op->Rn, Rax);
        e.Cover.NoteWrite(op->Rn);
    }

    public static bool ConsecutiveRegisters(BlockEmitter e, Op* op)
    {
        Operand place = Structure(e, op, op->Ra * op->Shift);
        for (int i = 0; i < op->Ra; i++)
        {
            SimdSequences.VectorTransfer(e, (op->Rd + i) % 32, place with { Displacement = i * op->Shift }, op->Shift, IsLoad(op));
        }

        AdvanceBase(e, op);
        return true;
    }

    public static bool SingleStructure(BlockEmitter e, Op* op)
    {
        int size = op->Extra;
        Operand place = Structure(e, op, op->Ra << size);
        for (int i = 0; i < op->Ra; i++)
        {
            int vector = (op->Rd + i) % 32;
            Operand element = place with { Displacement = i << size };
            if (IsLoad(op))
            {
                int d = e.Vectors.Update(vector);
                e.Asm.InsertElement(size, d, d, element, op->Shift);
            }
            else
            {
                e.Asm.ExtractElement(size, element, e.Vectors.Read(vector), op->Shift);
            }
        }

        AdvanceBase(e, op);
        return true;
    }

    public static bool ReplicatedStructure(BlockEmitter e, Op* op)
    {
        int size = op->Extra;
        Operand place = Structure(e, op, op->Ra << size);
        for (int i = 0; i < op->Ra; i++)
        {
            Packed broadcast = size switch
            {
                0 => Packed.BroadcastB,
                1 => Packed.BroadcastH,
                2 => Packed.BroadcastS,
                _ => Packed.BroadcastD,
            };
            int vector = (op->Rd + i) % 32;
            e.Asm.PackedOne(broadcast, 0, place with { Displacement = i << size });
            SimdSequences.StoreVector(e, vector, op->Shift);
        }

        AdvanceBase(e, op);
        return true;
    }

    public static bool MultipleStructures(BlockEmitter e, Op* op)
    {
        Operand place = Structure(e, op, op->Ra * op->Shift);
        if (IsLoad(op))
        {
            for (int i = 0; i < op->Ra; i++)
            {
                LoadElements(e, op, place, i);
                SimdSequences.StoreVector(e, (op->Rd + i) % 32, op->Shift);
            }
        }
        else if (op->Ra == 2)
        {
            StoreElements(e, op, place, upper: false);
        }
        else
        {
            StoreElements(e, op, place, upper: false);
            if (op->Shift == 16)
            {
                StoreElements(e, op, place with { Displacement = 32 }, upper: true);
            }
        }

        AdvanceBase(e, op);
        return true;
    }

    // XMM0 = every second or fourth element of the structure, beginning with that of the index.
    private static void LoadElements(BlockEmitter e, Op* op, Operand place, int index)
    {
        int size = op->Extra;
        int bytes = op->Ra * op->Shift;
        bool odd = (index & 1) != 0;
        for (int i = 0; i < bytes / 16; i++)
        {
            e.Asm.LoadXmm(i, place with { Displacement = 16 * i });
        }

        if (bytes == 16)
        {
            SimdSequences.Deinterleave(e, 0, 0, size, odd);
            return;
        }

        SimdSequences.Deinterleave(e, 0, 1, size, odd);
        if (op->Ra == 2)
        {
            return;
        }

        if (bytes == 64)
        {
            SimdSequences.Deinterleave(e, 2, 3, size, odd);
            SimdSequences.Deinterleave(e, 0, 2, size, index >= 2);
        }
        else
        {
            SimdSequences.Deinterleave(e, 0, 0, size, index >= 2);
        }
    }

    // Stores two registers interleaved, or the lower or the upper halves of four.
    private static void StoreElements(BlockEmitter e, Op* op, Operand place, bool upper)
    {
        int size = op->Extra;
        Packed low = SimdOperations.Of(Operation.Zip1).At(size);
        Packed high = SimdOperations.Of(Operation.Zip2).At(size);
        int v0 = e.Vectors.Read(op->Rd);
        int v1 = e.Vectors.Read((op->Rd + 1) % 32);
        if (op->Ra == 2)
        {
            e.Asm.Packed(low, 0, v0, v1);
            e.Asm.StoreXmm(place, 0);
            if (op->Shift == 16)
            {
                e.Asm.Packed(high, 0, v0, v1);
                e.Asm.StoreXmm(place with { Displacement = 16 }, 0);
            }

            return;
        }

        e.Asm.Packed(upper ? high : low, 0, v0, e.Vectors.Read((op->Rd + 2) % 32));
        e.Asm.Packed(upper ? high : low, 1, v1, e.Vectors.Read((op->Rd + 3) % 32));
        e.Asm.Packed(low, 2, 0, 1);
        e.Asm.StoreXmm(place, 2);
        e.Asm.Packed(high, 2, 0, 1);
        e.Asm.StoreXmm(place with { Displacement = place.Displacement + 16 }, 2);
    }
}
