using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Lockstep;
using Vmm.Emulation.Cpu.Mmu;

namespace Vmm.Emulation.Cpu.Jit.X64;

/// <summary>
/// Inline look-ups of the TLB: nine host instructions, about 2 ns where something waits for the load. A miss leaves the whole instruction
/// to the interpreter, before anything has changed. EFLAGS must have been given up.
/// </summary>
/// <param name="lockstep">What stores overwrite is logged: see <see cref="Engines.LockstepEngine"/>.</param>
internal sealed unsafe class TlbLookup(Assembler asm, Exits exits, bool lockstep)
{
    /// <summary>What stores overwrite is logged, for which RAX + RCX must be the place.</summary>
    public bool LogsStores => lockstep;

    /// <summary>Looks up the bytes from the guest address in RAX on. Uses RCX and RDX.</summary>
    /// <returns>The place in host memory: RAX + RCX.</returns>
    public Operand Probe(Op* op, int size, bool write) => Probe(op, size, write, HostRegisters.Tlb);

    /// <param name="tlb">The field of <see cref="CpuState"/> that points to the TLB.</param>
    public Operand Probe(Op* op, int size, bool write, Operand tlb)
    {
        ProbeRange(op, size, write, tlb, default);
        if (write)
        {
            LogStore(size);
        }

        return Operand.At(Reg.Rax, Reg.Rcx, 0);
    }

    /// <summary>The same, of the bytes of one access or several. RCX = the addend; nothing is logged.</summary>
    /// <param name="miss">What the stub must know, but for the length.</param>
    public void ProbeRange(Op* op, int length, bool write, Operand tlb, TlbMiss miss)
    {
        LoadEntry(tlb);
        PageOfLast(length);
        asm.Alu(Alu.Cmp, true, Reg.Rdx, Operand.At(Reg.Rcx, write ? TlbEntry.WriteTagOffset : TlbEntry.ReadTagOffset));
        miss.Length = length;
        exits.LeaveAt(asm.JumpForward(Condition.NotEqual), op, ExitReason.TlbMiss, miss);
        asm.Load(true, Reg.Rcx, Operand.At(Reg.Rcx, TlbEntry.AddendOffset));
    }

    /// <summary>
    /// The same for an access that must be aligned to its size. The low bits of a misaligned address are kept, so that no tag is equal.
    /// </summary>
    public Operand ProbeAligned(Op* op, int size, bool read, bool write)
    {
        LoadEntry(HostRegisters.Tlb);
        asm.Load(true, Reg.Rdx, Reg.Rax);
        asm.AluImmediate(Alu.And, true, Reg.Rdx, -4096 | (size - 1));
        if (read)
        {
            asm.Alu(Alu.Cmp, true, Reg.Rdx, Operand.At(Reg.Rcx, TlbEntry.ReadTagOffset));
            exits.LeaveIf(Condition.NotEqual, op, ExitReason.TlbMiss);
        }

        if (write)
        {
            asm.Alu(Alu.Cmp, true, Reg.Rdx, Operand.At(Reg.Rcx, TlbEntry.WriteTagOffset));
            exits.LeaveIf(Condition.NotEqual, op, ExitReason.TlbMiss);
        }

        asm.Load(true, Reg.Rcx, Operand.At(Reg.Rcx, TlbEntry.AddendOffset));
        if (write)
        {
            LogStore(size);
        }

        return Operand.At(Reg.Rax, Reg.Rcx, 0);
    }

    // RCX = the TLB entry of the address in RAX.
    private void LoadEntry(Operand tlb)
    {
        asm.Load(false, Reg.Rcx, Reg.Rax);
        asm.ShiftImmediate(Shift.Shr, false, Reg.Rcx, 7);
        asm.AluImmediate(Alu.And, false, Reg.Rcx, (TlbEntry.Count - 1) << 5);
        asm.Alu(Alu.Add, true, Reg.Rcx, tlb);
    }

    /// <summary>RDX = the page of the last of the bytes from the address in RAX on.</summary>
    public void PageOfLast(int length)
    {
        if (length == 1)
        {
            asm.Load(true, Reg.Rdx, Reg.Rax);
        }
        else
        {
            asm.Lea(true, Reg.Rdx, Operand.At(Reg.Rax, length - 1));
        }

        asm.AluImmediate(Alu.And, true, Reg.Rdx, -4096);
    }

    /// <summary>RCX = the place of a look-up, which was RAX + RCX: RAX becomes free.</summary>
    public Operand PlaceInRcx()
    {
        asm.Alu(Alu.Add, true, Reg.Rcx, Reg.Rax);
        return Operand.At(Reg.Rcx);
    }

    /// <summary>
    /// In lockstep, logs what a store to RAX + RCX will overwrite. To be called behind its look-up. Both registers stay, and so do the
    /// flags. Uses RDX.
    /// </summary>
    public void LogStore(int size)
    {
        if (!lockstep)
        {
            return;
        }

        asm.Load(true, Reg.Rdx, HostRegisters.StoreLog);
        for (int done = 0; done < size; done += StoreLogEntry.MaxBytes)
        {
            // The addend is kept where the size will go.
            int part = Math.Min(size - done, StoreLogEntry.MaxBytes);
            asm.Store(true, Operand.At(Reg.Rdx, StoreLogEntry.SizeOffset), Reg.Rcx);
            asm.Lea(true, Reg.Rcx, Operand.At(Reg.Rax, Reg.Rcx, 0, done));
            asm.Store(true, Operand.At(Reg.Rdx, StoreLogEntry.HostOffset), Reg.Rcx);
            if (part == 16)
            {
                asm.Load(true, Reg.Rcx, Operand.At(Reg.Rcx, 8));
                asm.Store(true, Operand.At(Reg.Rdx, StoreLogEntry.OldOffset + 8), Reg.Rcx);
                asm.Load(true, Reg.Rcx, Operand.At(Reg.Rdx, StoreLogEntry.HostOffset));
            }

            asm.LoadSized(Reg.Rcx, Operand.At(Reg.Rcx), Math.Min(part, 8), signed: false, wide: false);
            asm.Store(true, Operand.At(Reg.Rdx, StoreLogEntry.OldOffset), Reg.Rcx);
            asm.Load(true, Reg.Rcx, Operand.At(Reg.Rdx, StoreLogEntry.SizeOffset));
            asm.StoreImmediate(true, Operand.At(Reg.Rdx, StoreLogEntry.SizeOffset), part);
            asm.Lea(true, Reg.Rdx, Operand.At(Reg.Rdx, sizeof(StoreLogEntry)));
        }

        asm.Store(true, HostRegisters.StoreLog, Reg.Rdx);
    }
}
