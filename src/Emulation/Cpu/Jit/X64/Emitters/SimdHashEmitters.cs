using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>FEAT_SHA3, all on 16 bytes. The result is made in XMM0.</summary>
internal static unsafe class SimdHashEmitters
{
    public static bool ExclusiveOrThree(BlockEmitter e, Op* op)
    {
        e.Floats.CheckEnabled(op);
        e.Asm.Packed(Packed.Xor, 0, e.Vectors.Read(op->Rn), e.Vectors.Read(op->Rm));
        e.Asm.Packed(Packed.Xor, 0, e.Vectors.Read(op->Ra));
        SimdSequences.StoreVector(e, op->Rd, 16);
        return true;
    }

    public static bool ClearAndExclusiveOr(BlockEmitter e, Op* op)
    {
        e.Floats.CheckEnabled(op);
        e.Asm.Packed(Packed.AndNot, 0, e.Vectors.Read(op->Ra), e.Vectors.Read(op->Rm));
        e.Asm.Packed(Packed.Xor, 0, e.Vectors.Read(op->Rn));
        SimdSequences.StoreVector(e, op->Rd, 16);
        return true;
    }

    public static bool RotateAndExclusiveOr(BlockEmitter e, Op* op)
    {
        e.Floats.CheckEnabled(op);
        SimdSequences.RotateRight(e, 3, 0, e.Vectors.Read(op->Rm), 63, scratch: 1);
        e.Asm.Packed(Packed.Xor, 0, e.Vectors.Read(op->Rn));
        SimdSequences.StoreVector(e, op->Rd, 16);
        return true;
    }

    public static bool ExclusiveOrAndRotate(BlockEmitter e, Op* op)
    {
        e.Floats.CheckEnabled(op);
        e.Asm.Packed(Packed.Xor, 0, e.Vectors.Read(op->Rn), e.Vectors.Read(op->Rm));
        if (op->Shift != 0)
        {
            SimdSequences.RotateRight(e, 3, 0, 0, op->Shift, scratch: 1);
        }

        SimdSequences.StoreVector(e, op->Rd, 16);
        return true;
    }
}
