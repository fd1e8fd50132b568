using System.Runtime.Intrinsics.X86;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.PointerAuthentication;
using static Vmm.Emulation.Cpu.Jit.X64.GuestRegisters;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// Pointer authentication by the implementation-defined algorithm, of pointers that are as they should be. All else, a pointer that is not
/// canonical or a code that is wrong, is the interpreter's.
/// </summary>
internal static unsafe class PointerEmitters
{
    /// <summary>PACIA and its kin.</summary>
    public static bool Sign(BlockEmitter e, Op* op)
    {
        if (!IsPossible(e))
        {
            return false;
        }

        byte* disabled = BeginEnabled(e, op);
        e.Asm.Alu(Alu.And, true, Rcx, Rdx);
        e.Exits.LeaveIf(Condition.NotEqual, op);
        Hash(e, op, Rax);
        e.Asm.StoreXmmGeneral(true, Rcx, 0);
        e.Asm.Alu(Alu.And, true, Rcx, Rdx);
        e.Asm.Alu(Alu.Xor, true, Rax, Rcx);
        e.Registers.Out(op->Rd, Rax);
        e.Asm.Bind(disabled);
        return true;
    }

    /// <summary>AUTIA and its kin. RCX = the pointer without a code; with the one that it should have it is what RAX holds.</summary>
    public static bool Authenticate(BlockEmitter e, Op* op)
    {
        if (!IsPossible(e))
        {
            return false;
        }

        byte* disabled = BeginEnabled(e, op);
        e.Asm.Alu(Alu.And, true, Rcx, Rdx);
        e.Asm.Alu(Alu.Xor, true, Rcx, Rax);
        Hash(e, op, Rcx);
        e.Asm.LoadXmmGeneral(true, 1, Rdx);
        e.Asm.Packed(Packed.And, 0, 1);
        e.Asm.StoreXmmGeneral(true, Rdx, 0);
        e.Asm.Alu(Alu.Xor, true, Rdx, Rcx);
        e.Asm.Alu(Alu.Cmp, true, Rdx, Rax);
        e.Exits.LeaveIf(Condition.NotEqual, op);
        e.Registers.Out(op->Rd, Rcx);
        e.Asm.Bind(disabled);
        return true;
    }

    private static bool IsPossible(BlockEmitter e) => (e.Features & Feature.PauthImpdef) != 0 && Aes.IsSupported;

    // RAX = the pointer, RDX = the bits of its code, RCX = the bits that differ from bit 55. Returns the jump for a key that is disabled.
    private static byte* BeginEnabled(BlockEmitter e, Op* op)
    {
        var key = (PointerKey)op->Extra;
        e.Flags.GiveUp();
        e.Asm.TestImmediate(false, HostRegisters.Field(&HostRegisters.Origin->SctlrEl1), (int)PointerCode.EnableBit(key));
        byte* disabled = e.Asm.JumpForward(Condition.Equal);
        e.Registers.Copy(Rax, op->Rd);
        e.Asm.Load(true, Rcx, Rax);
        e.Asm.ShiftImmediate(Shift.Shl, true, Rcx, 8);
        e.Asm.ShiftImmediate(Shift.Sar, true, Rcx, 63);

        // RCX is 0, or -1 for the upper range, whose mask stands before that of the lower one.
        Operand lower = HostRegisters.Field(&HostRegisters.Origin->PointerMasks[PointerCode.LowerMask(key)]);
        e.Asm.Load(true, Rdx, Operand.At(Reg.Rbp, Rcx, 3, lower.Displacement));
        e.Asm.Alu(Alu.Xor, true, Rcx, Rax);
        return disabled;
    }

    // XMM0 = the code of a pointer: see PointerHash. Uses XMM1.
    private static void Hash(BlockEmitter e, Op* op, Reg pointer)
    {
        e.Asm.LoadXmmGeneral(true, 0, pointer);
        e.Asm.InsertElement(3, 0, 0, Place(op->Rn), 1);
        e.Asm.LoadXmm(1, HostRegisters.Field(&HostRegisters.Origin->PointerKeys[2 * op->Extra]));
        e.Asm.Packed(Packed.Xor, 0, 1);
        e.Asm.Packed(Packed.AesEncrypt, 0, 1);
        e.Asm.Packed(Packed.AesEncrypt, 0, 1);
    }
}
