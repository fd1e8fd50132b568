using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit.X64;

/// <summary>
/// Guest general registers as operands of host instructions. A guest register is given by its slot in <see cref="CpuState.X"/>. It is in a
/// host register of its own, its pin, or in memory (<see cref="HostRegisters"/>).
/// </summary>
internal sealed unsafe class GuestRegisters(Assembler asm)
{
    /// <summary>Whether an instruction on general registers works on 64 bits: sf, bit 31 of its word.</summary>
    public static bool IsWide(Op* op) => op->Word >> 31 != 0;

    /// <summary>Where a guest register is: its host register, or its slot. The slot of XZR reads zero.</summary>
    public static Operand Place(int slot) => HostRegisters.Pin(slot) is var pin && pin != Reg.None ? pin : HostRegisters.Slot(slot);

    /// <summary>Where a result is to be made: the guest register's own host register, or a scratch that <see cref="Out"/> stores.</summary>
    public static Reg Target(int slot, Reg scratch) => HostRegisters.Pin(slot) is var pin && pin != Reg.None ? pin : scratch;

    /// <summary>A host register that holds a guest register: its own, or <paramref name="scratch"/> with a copy. Flags stay.</summary>
    public Reg In(int slot, Reg scratch)
    {
        Reg pin = HostRegisters.Pin(slot);
        if (pin != Reg.None)
        {
            return pin;
        }

        Copy(scratch, slot);
        return scratch;
    }

    /// <summary>Copies a guest register, or its low 32 bits. Flags stay.</summary>
    public void Copy(Reg destination, int slot, bool wide = true)
    {
        if (slot == CpuState.Zr)
        {
            asm.LoadImmediate(destination, 0);
        }
        else if (!Place(slot).Is(destination) || !wide)
        {
            asm.Load(wide, destination, Place(slot));
        }
    }

    /// <summary>
    /// Gives a result made in <see cref="Target"/> to its guest register: 64 bits, of which 32-bit operations have cleared the upper half.
    /// Flags stay.
    /// </summary>
    public void Out(int slot, Reg result)
    {
        if (slot != CpuState.Sink && !Place(slot).Is(result))
        {
            asm.Store(true, Place(slot), result);
        }
    }

    /// <summary>result = left op right. <paramref name="right"/> may be in RCX. Uses RAX.</summary>
    public void Binary(Alu operation, bool wide, int result, int left, Operand right)
    {
        Reg target = Target(result, Reg.Rax);
        if (result != left && right.Is(target))
        {
            if (operation == Alu.Sub)
            {
                Copy(Reg.Rax, left, wide);
                asm.Alu(Alu.Sub, wide, Reg.Rax, right);
                Out(result, Reg.Rax);
                return;
            }

            asm.Alu(operation, wide, target, Place(left));
            Out(result, target);
            return;
        }

        if (result != left || target == Reg.Rax)
        {
            Copy(target, left, wide);
        }

        asm.Alu(operation, wide, target, right);
        Out(result, target);
    }

    /// <summary>result = left op value. Uses RAX.</summary>
    public void BinaryImmediate(Alu operation, bool wide, int result, int left, int value)
    {
        Reg target = Target(result, Reg.Rax);
        if (result != left || target == Reg.Rax)
        {
            Copy(target, left, wide);
        }

        asm.AluImmediate(operation, wide, target, value);
        Out(result, target);
    }

    /// <summary>Adds a constant to a host register. Flags stay. Uses RCX for a constant of more than 32 bits.</summary>
    public void AddConstant(Reg register, long value)
    {
        if (value == 0)
        {
            return;
        }

        if (value == (int)value)
        {
            asm.Lea(true, register, Operand.At(register, (int)value));
        }
        else
        {
            asm.LoadImmediate(Reg.Rcx, (ulong)value);
            asm.Lea(true, register, Operand.At(register, Reg.Rcx, 0));
        }
    }

    /// <summary>RAX = a guest register + an offset. Flags stay.</summary>
    public void Address(int slot, int offset)
    {
        if (offset == 0)
        {
            Copy(Reg.Rax, slot);
        }
        else
        {
            asm.Lea(true, Reg.Rax, Operand.At(In(slot, Reg.Rax), offset));
        }
    }

    /// <summary>ExtendReg of the Arm ARM: UXTB, UXTH, UXTW, UXTX, SXTB, SXTH, SXTW, SXTX. Flags stay.</summary>
    public void Extend(Reg destination, int slot, int extension)
    {
        Operand source = Place(slot);
        switch (extension)
        {
            case 0:
                asm.ZeroExtend8(destination, source);
                break;
            case 1:
                asm.ZeroExtend16(destination, source);
                break;
            case 2:
                asm.Load(false, destination, source);
                break;
            case 4:
                asm.SignExtend8(true, destination, source);
                break;
            case 5:
                asm.SignExtend16(true, destination, source);
                break;
            case 6:
                asm.SignExtend32(destination, source);
                break;
            default:
                asm.Load(true, destination, source);
                break;
        }
    }
}
