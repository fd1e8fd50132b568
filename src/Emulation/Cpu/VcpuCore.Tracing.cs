using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Tracing;

namespace Vmm.Emulation.Cpu;

/// <content>Trace lines of what this vCPU does; only on paths that are slow anyway.</content>
public sealed unsafe partial class VcpuCore
{
    /// <summary>The trace, if it has a category.</summary>
    internal TraceLog? TraceOf(TraceCategories category) => _trace is { } trace && trace.Traces(category) ? trace : null;

    // Before the instruction is executed.
    private void TraceInstruction(Op* op)
    {
        DecodeCurrent(op);
        int row = EncodingTable.Find(op->Word);
        string mnemonic = row < 0 ? "UNDEFINED" : EncodingTable.Rows[row].Mnemonic;
        _trace!.Write(
            TraceCategories.Insn,
            $"cpu{Index.Value} EL{Pstate.ExceptionLevel(_state->Pstate)} 0x{PcOf(op):x16} {op->Word:x8} {mnemonic}");
    }

    private bool ReadDevice(ulong address, int size, out ulong value)
    {
        bool answered = Bus.TryRead(address, size, out value);
        if (_trace != null)
        {
            TraceDevice(address, size, value, false);
        }

        return answered;
    }

    private bool WriteDevice(ulong address, int size, ulong value)
    {
        // Before the device acts, so that what follows from it stands below.
        if (_trace != null)
        {
            TraceDevice(address, size, value, true);
        }

        bool answered = Bus.TryWrite(address, size, value);

        // A flash chip that left array mode is read as a device by the next instruction.
        ServiceTlbRequests();
        return answered;
    }

    private void TraceDevice(ulong address, int size, ulong value, bool write)
    {
        PhysicalAddressSpace.Window? window = Bus.FindDevice(address);
        string direction = write ? "write" : "read";
        if (TraceOf(TraceCategories.Mmio) is { } mmio)
        {
            string place = window is { } w ? $"{w.Device.Name}+0x{address - w.Start:x}" : $"nothing at 0x{address:x}";
            mmio.Write(TraceCategories.Mmio, $"cpu{Index.Value} {direction} {place} size {size} value 0x{value:x}");
        }

        if (window == null && TraceOf(TraceCategories.GuestErrors) is { } errors)
        {
            errors.Write(TraceCategories.GuestErrors, $"cpu{Index.Value} {direction} of nothing at 0x{address:x} size {size}");
        }

        if (TraceOf(TraceCategories.Acpi) is { } acpi && window is { Device: IAcpiDevice device } found
            && device.RegisterName(address - found.Start, write) is { } register)
        {
            acpi.Write(TraceCategories.Acpi, $"cpu{Index.Value} {direction} {device.Name} {register} 0x{value:x}");
        }
    }
}
