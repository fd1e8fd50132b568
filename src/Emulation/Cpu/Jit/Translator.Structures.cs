using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>
/// LD1–LD4 and ST1–ST4, with one look at the TLB for all of a structure; one that crosses a page is the interpreter's, as are LD3 and ST3
/// of interleaved elements. Interleaving takes up to 7 instructions for each register of LD2 and ST2, and up to 19 of LD4 and ST4.
/// </content>
internal sealed unsafe partial class Translator
{
    private static bool IsLoad(Op* op) => (op->Word & (1u << 22)) != 0;

    // The place in host memory of all bytes of a structure at Rn.
    private Operand Structure(Op* op, int bytes)
    {
        CheckFp(op);
        LoseHostFlags();
        CheckStack(op);
        Copy(Rax, op->Rn);
        ProbeBase(op, bytes, bytes, !IsLoad(op), default);
        if (lockstep && !IsLoad(op))
        {
            LogStore(bytes);
        }

        return Operand.At(Rax, Rcx, 0);
    }

    // Imm is what post-index adds; all ones: register Rm.
    private void AdvanceBase(Op* op)
    {
        if (op->Imm == 0)
        {
            return;
        }

        if (op->Imm == ulong.MaxValue)
        {
            _a.Lea(true, Rax, Operand.At(Rax, In(op->Rm, Rcx), 0));
        }
        else
        {
            _a.Lea(true, Rax, Operand.At(Rax, (int)op->Imm));
        }

        Out(op->Rn, Rax);
        ForgetStack(op->Rn);
    }

    private static bool Registers(Translator t, Op* op)
    {
        Operand place = t.Structure(op, op->Ra * op->Shift);
        for (int i = 0; i < op->Ra; i++)
        {
            t.VectorTransfer((op->Rd + i) % 32, place with { Displacement = i * op->Shift }, op->Shift, IsLoad(op));
        }

        t.AdvanceBase(op);
        return true;
    }

    private static bool SingleStructure(Translator t, Op* op)
    {
        int size = op->Extra;
        Operand place = t.Structure(op, op->Ra << size);
        for (int i = 0; i < op->Ra; i++)
        {
            int vector = (op->Rd + i) % 32;
            Operand element = place with { Displacement = i << size };
            if (IsLoad(op))
            {
                int d = t.Update(vector);
                t._a.InsertElement(size, d, d, element, op->Shift);
            }
            else
            {
                t._a.ExtractElement(size, element, t.Vec(vector), op->Shift);
            }
        }

        t.AdvanceBase(op);
        return true;
    }

    private static bool ReplicatedStructure(Translator t, Op* op)
    {
        int size = op->Extra;
        Operand place = t.Structure(op, op->Ra << size);
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
            t._a.PackedOne(broadcast, 0, place with { Displacement = i << size });
            t.StoreVector(vector, op->Shift);
        }

        t.AdvanceBase(op);
        return true;
    }

    private static bool MultipleStructures(Translator t, Op* op)
    {
        Operand place = t.Structure(op, op->Ra * op->Shift);
        if (IsLoad(op))
        {
            for (int i = 0; i < op->Ra; i++)
            {
                t.LoadElements(op, place, i);
                t.StoreVector((op->Rd + i) % 32, op->Shift);
            }
        }
        else if (op->Ra == 2)
        {
            t.StoreElements(op, place, upper: false);
        }
        else
        {
            t.StoreElements(op, place, upper: false);
            if (op->Shift == 16)
            {
                t.StoreElements(op, place with { Displacement = 32 }, upper: true);
            }
        }

        t.AdvanceBase(op);
        return true;
    }

    // XMM0 = each second or fourth element from the one of the index on.
    private void LoadElements(Op* op, Operand place, int index)
    {
        int size = op->Extra;
        int bytes = op->Ra * op->Shift;
        bool odd = (index & 1) != 0;
        for (int i = 0; i < bytes / 16; i++)
        {
            _a.LoadXmm(i, place with { Displacement = 16 * i });
        }

        if (bytes == 16)
        {
            Deinterleave(0, 0, size, odd);
            return;
        }

        Deinterleave(0, 1, size, odd);
        if (op->Ra == 2)
        {
            return;
        }

        if (bytes == 64)
        {
            Deinterleave(2, 3, size, odd);
            Deinterleave(0, 2, size, index >= 2);
        }
        else
        {
            Deinterleave(0, 0, size, index >= 2);
        }
    }

    // Interleaves the lower or the upper halves of four registers, or two registers whole.
    private void StoreElements(Op* op, Operand place, bool upper)
    {
        int size = op->Extra;
        Packed low = OfOperation(Operation.Zip1).At(size);
        Packed high = OfOperation(Operation.Zip2).At(size);
        int v0 = Vec(op->Rd);
        int v1 = Vec((op->Rd + 1) % 32);
        if (op->Ra == 2)
        {
            _a.Packed(low, 0, v0, v1);
            _a.StoreXmm(place, 0);
            if (op->Shift == 16)
            {
                _a.Packed(high, 0, v0, v1);
                _a.StoreXmm(place with { Displacement = 16 }, 0);
            }

            return;
        }

        _a.Packed(upper ? high : low, 0, v0, Vec((op->Rd + 2) % 32));
        _a.Packed(upper ? high : low, 1, v1, Vec((op->Rd + 3) % 32));
        _a.Packed(low, 2, 0, 1);
        _a.StoreXmm(place, 2);
        _a.Packed(high, 2, 0, 1);
        _a.StoreXmm(place with { Displacement = place.Displacement + 16 }, 2);
    }
}
