using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>Guest registers as operands of host instructions.</content>
internal sealed unsafe partial class Translator
{
    /// <summary>The place of a guest register: its host register, or its slot. The slot of XZR reads zero.</summary>
    private static Operand Place(int slot) => HostRegisters.Pin(slot) is var pin && pin != Reg.None ? pin : HostRegisters.Slot(slot);

    /// <summary>A host register that holds a guest register: its own, or <paramref name="scratch"/> with a copy. Flags stay.</summary>
    private Reg In(int slot, Reg scratch)
    {
        Reg pin = HostRegisters.Pin(slot);
        if (pin != Reg.None)
        {
            return pin;
        }

        Copy(scratch, slot);
        return scratch;
    }

    /// <summary>Copies a guest register. Flags stay.</summary>
    private void Copy(Reg destination, int slot, bool wide = true)
    {
        if (slot == CpuState.Zr)
        {
            _a.LoadImmediate(destination, 0);
        }
        else if (!Place(slot).Is(destination) || !wide)
        {
            _a.Load(wide, destination, Place(slot));
        }
    }

    /// <summary>Where a result is to be made: the guest register's own host register, or a scratch that <see cref="Out"/> stores.</summary>
    private static Reg Target(int slot, Reg scratch) => HostRegisters.Pin(slot) is var pin && pin != Reg.None ? pin : scratch;

    /// <summary>
    /// Gives a result made in <see cref="Target"/> to its guest register. 64 bits, of which 32-bit operations have cleared the upper half.
    /// </summary>
    private void Out(int slot, Reg result)
    {
        if (slot != CpuState.Sink && !Place(slot).Is(result))
        {
            _a.Store(true, Place(slot), result);
        }
    }

    // result = left op right. Right may be in RCX. Uses RAX.
    private void Binary(Alu operation, bool wide, int result, int left, Operand right)
    {
        Reg target = Target(result, Rax);
        if (result != left && right.Is(target))
        {
            if (operation == Alu.Sub)
            {
                Copy(Rax, left, wide);
                _a.Alu(Alu.Sub, wide, Rax, right);
                Out(result, Rax);
                return;
            }

            _a.Alu(operation, wide, target, Place(left));
            Out(result, target);
            return;
        }

        if (result != left || target == Rax)
        {
            Copy(target, left, wide);
        }

        _a.Alu(operation, wide, target, right);
        Out(result, target);
    }

    private void BinaryImmediate(Alu operation, bool wide, int result, int left, int value)
    {
        Reg target = Target(result, Rax);
        if (result != left || target == Rax)
        {
            Copy(target, left, wide);
        }

        _a.AluImmediate(operation, wide, target, value);
        Out(result, target);
    }

    // The XMM register that holds a V register, to be read only.
    private int Vec(int vector) => _vectors.Read(ref _a, vector);

    // The XMM register for all 16 bytes of a V register, made by the next host instruction. No leaving behind this.
    private int Result(int vector) => _vectors.Overwrite(ref _a, vector);

    // The XMM register that holds a V register of which a part will be written.
    private int Update(int vector) => _vectors.Update(ref _a, vector);
}
