using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Exceptions;
using Vmm.Emulation.Cpu.PointerAuthentication;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>
/// Instructions of pointer authentication (Arm ARM C6.2). <see cref="Op.Extra"/> is the <see cref="PointerKey"/>. The modifier is in Rn, in
/// branches in Rm. While SCTLR_EL1 has the key disabled, codes are neither made nor looked at.
/// </summary>
internal static unsafe class PointerInstructions
{
    private const int Link = 30;

    // ---- Forms ----

    /// <summary>PACIA and its kin: Rd, and Rn or SP; the key is in bits 11:10. Without a modifier Rn is XZR.</summary>
    public static void General(Op* op)
    {
        Operands.LoadImm9(op);
        op->Rn = Operands.Bits(op->Word, 13, 1) != 0 ? (byte)CpuState.Zr : op->Rn;
        op->Extra = (byte)Operands.Bits(op->Word, 10, 2);
    }

    /// <summary>PACGA: Rd, Rn, and Rm or SP.</summary>
    public static void Generic(Op* op)
    {
        Operands.Registers(op);
        op->Rm = op->Rm == CpuState.Zr ? (byte)CpuState.Sp : op->Rm;
    }

    /// <summary>PACIA1716 and its kin: X17, modified by X16; bit 6 is the key.</summary>
    public static void SeventeenBySixteen(Op* op) => (op->Rd, op->Rn, op->Extra) = (17, 16, (byte)Operands.Bits(op->Word, 6, 1));

    /// <summary>PACIAZ, PACIASP and their kin: X30, modified by zero or by SP as bit 5 says; bit 6 is the key.</summary>
    public static void OfLink(Op* op)
    {
        op->Rd = Link;
        op->Rn = Operands.Bits(op->Word, 5, 1) != 0 ? (byte)CpuState.Sp : (byte)CpuState.Zr;
        op->Extra = (byte)Operands.Bits(op->Word, 6, 1);
    }

    /// <summary>XPACLRI.</summary>
    public static void LinkAlone(Op* op) => op->Rd = Link;

    /// <summary>BRAA and its kin: Rn, and Rm in bits 4:0, which may be SP; without a modifier it is XZR. Bit 10 is the key.</summary>
    public static void Branch(Op* op)
    {
        bool modified = Operands.Bits(op->Word, 24, 1) != 0;
        Operands.LoadImm9(op);
        uint modifier = Operands.Bits(op->Word, 0, 5);
        op->Rm = !modified ? (byte)CpuState.Zr : modifier == 31 ? (byte)CpuState.Sp : (byte)modifier;
        op->Rn = Operands.Bits(op->Word, 5, 5) == 31 ? (byte)CpuState.Zr : op->Rn;
        op->Extra = (byte)Operands.Bits(op->Word, 10, 1);
    }

    /// <summary>RETAA, RETAB, ERETAA, ERETAB: X30, modified by SP.</summary>
    public static void Return(Op* op) => (op->Rn, op->Rm, op->Extra) = (Link, CpuState.Sp, (byte)Operands.Bits(op->Word, 10, 1));

    /// <summary>LDRAA, LDRAB: the offset is S:imm9 in doublewords; bit 23 is the key.</summary>
    public static void Load(Op* op)
    {
        Operands.LoadImm9(op);
        uint offset = (Operands.Bits(op->Word, 22, 1) << 9) | Operands.Bits(op->Word, 12, 9);
        op->Imm = (ulong)(Operands.SignExtend(offset, 10) << 3);
        op->Extra = (byte)((uint)PointerKey.DataA + Operands.Bits(op->Word, 23, 1));
    }

    // ---- Handlers ----

    /// <summary>PACIA and its kin.</summary>
    public static Op* Sign(VcpuCore core, CpuState* s, Op* op)
    {
        var key = (PointerKey)op->Extra;
        if (IsEnabled(s, key))
        {
            s->X[op->Rd] = PointerCode.Sign(core, s->X[op->Rd], s->X[op->Rn], key);
        }

        return op + 1;
    }

    /// <summary>AUTIA and its kin.</summary>
    public static Op* Authenticate(VcpuCore core, CpuState* s, Op* op)
    {
        if (!TryAuthenticate(core, s, op, s->X[op->Rd], s->X[op->Rn], out ulong pointer))
        {
            return TakeFailure(core, op);
        }

        s->X[op->Rd] = pointer;
        return op + 1;
    }

    /// <summary>XPACI, XPACLRI.</summary>
    public static Op* StripInstruction(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = PointerCode.Strip(s, s->X[op->Rd], PointerKey.InstructionA);
        return op + 1;
    }

    /// <summary>XPACD.</summary>
    public static Op* StripData(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = PointerCode.Strip(s, s->X[op->Rd], PointerKey.DataA);
        return op + 1;
    }

    /// <summary>PACGA: a code of 32 bits in the upper half.</summary>
    public static Op* GenericCode(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = PointerCode.Compute(core, s->X[op->Rn], s->X[op->Rm], PointerKey.Generic) & 0xFFFF_FFFF_0000_0000;
        return op + 1;
    }

    /// <summary>BRAA and its kin.</summary>
    public static Op* Jump(VcpuCore core, CpuState* s, Op* op)
    {
        if (!TryAuthenticate(core, s, op, s->X[op->Rn], s->X[op->Rm], out ulong target))
        {
            return TakeFailure(core, op);
        }

        SetType(core, s, GuardedBranches.TypeOfJump(op->Rn));
        return Flow.TakenTo(core, s, op, target);
    }

    /// <summary>RETAA, RETAB.</summary>
    public static Op* ReturnTo(VcpuCore core, CpuState* s, Op* op) =>
        TryAuthenticate(core, s, op, s->X[op->Rn], s->X[op->Rm], out ulong target)
            ? Flow.TakenTo(core, s, op, target)
            : TakeFailure(core, op);

    /// <summary>BLRAA and its kin.</summary>
    public static Op* Call(VcpuCore core, CpuState* s, Op* op)
    {
        if (!TryAuthenticate(core, s, op, s->X[op->Rn], s->X[op->Rm], out ulong target))
        {
            return TakeFailure(core, op);
        }

        s->X[Link] = core.PcOf(op) + 4;
        SetType(core, s, GuardedBranches.Call);
        return Flow.TakenTo(core, s, op, target);
    }

    /// <summary>ERETAA, ERETAB: of ELR_EL1.</summary>
    public static Op* ExceptionReturn(VcpuCore core, CpuState* s, Op* op)
    {
        if (Pstate.ExceptionLevel(s->Pstate) == 0)
        {
            return core.TakeUndefined(op);
        }

        return TryAuthenticate(core, s, op, s->ElrEl1, s->X[CpuState.Sp], out ulong target)
            ? core.ReturnFromException(op, target)
            : TakeFailure(core, op);
    }

    /// <summary>LDRAA, LDRAB: the base is authenticated without a modifier. Bit 11 has the address written back to it.</summary>
    public static Op* LoadAuthenticated(VcpuCore core, CpuState* s, Op* op)
    {
        ulong origin = s->X[op->Rn];
        if (LoadStore.StackMisaligned(core, op, origin))
        {
            return core.TakeStackAlignment(op);
        }

        if (!TryAuthenticate(core, s, op, origin, 0, out ulong pointer))
        {
            return TakeFailure(core, op);
        }

        ulong va = pointer + op->Imm;
        if (!MemoryAccess.Load(core, s, op, va, out ulong value))
        {
            return core.Resume(op);
        }

        s->X[op->Rd] = value;
        if (Operands.Bits(op->Word, 11, 1) != 0)
        {
            s->X[op->Rn] = va;
        }

        return op + 1;
    }

    private static void SetType(VcpuCore core, CpuState* s, int type)
    {
        if (core.Has(Feature.Bti))
        {
            GuardedBranches.SetType(core, s, type);
        }
    }

    private static bool IsEnabled(CpuState* s, PointerKey key) => (s->SctlrEl1 & PointerCode.EnableBit(key)) != 0;

    private static bool TryAuthenticate(VcpuCore core, CpuState* s, Op* op, ulong pointer, ulong modifier, out ulong result)
    {
        var key = (PointerKey)op->Extra;
        result = pointer;
        return !IsEnabled(s, key) || PointerCode.TryAuthenticate(core, pointer, modifier, key, out result);
    }

    // ISS of EC 0x1C: bit 1 of data keys, bit 0 of B keys, which is how they are numbered.
    private static Op* TakeFailure(VcpuCore core, Op* op) => core.Take(op, ExceptionClass.PointerAuthentication, op->Extra);
}
