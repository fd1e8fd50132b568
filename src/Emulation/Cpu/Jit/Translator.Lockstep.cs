using Vmm.Emulation.Cpu.Jit.X64;
using Vmm.Emulation.Cpu.Lockstep;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>What translated code does only in lockstep: it logs what its stores overwrite.</content>
internal sealed unsafe partial class Translator
{
    // Behind the probe of a store: RAX + RCX is the place, and stays. Uses RDX; flags stay.
    private void LogStore(int size)
    {
        _a.Load(true, Rdx, HostRegisters.StoreLog);
        for (int done = 0; done < size; done += StoreLogEntry.MaxBytes)
        {
            // The addend waits where the size goes.
            int part = Math.Min(size - done, StoreLogEntry.MaxBytes);
            _a.Store(true, Operand.At(Rdx, StoreLogEntry.SizeOffset), Rcx);
            _a.Lea(true, Rcx, Operand.At(Rax, Rcx, 0, done));
            _a.Store(true, Operand.At(Rdx, StoreLogEntry.HostOffset), Rcx);
            if (part == 16)
            {
                _a.Load(true, Rcx, Operand.At(Rcx, 8));
                _a.Store(true, Operand.At(Rdx, StoreLogEntry.OldOffset + 8), Rcx);
                _a.Load(true, Rcx, Operand.At(Rdx, StoreLogEntry.HostOffset));
            }

            LoadSized(Rcx, Operand.At(Rcx), Math.Min(part, 8), signed: false, wide: false);
            _a.Store(true, Operand.At(Rdx, StoreLogEntry.OldOffset), Rcx);
            _a.Load(true, Rcx, Operand.At(Rdx, StoreLogEntry.SizeOffset));
            _a.StoreImmediate(true, Operand.At(Rdx, StoreLogEntry.SizeOffset), part);
            _a.Lea(true, Rdx, Operand.At(Rdx, sizeof(StoreLogEntry)));
        }

        _a.Store(true, HostRegisters.StoreLog, Rdx);
    }
}
