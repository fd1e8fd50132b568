using System.Runtime.InteropServices;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.SystemRegisters;
using Vmm.Emulation.Tests.Misbehaviour;

namespace Vmm.Emulation.Tests.Devices;

/// <summary>
/// Flash as vCPUs see it, mapped as normal memory: executed and read through TLBs, and a device from the instruction after a command.
/// </summary>
public sealed unsafe class FlashExecutionTests
{
    private const ulong Root = HostileMachine.Ram + 0x10_0000;
    private const ulong Variables = 0x0400_0000;
    private const uint ReadStatus = 0x0070_0070;
    private const uint ReadArray = 0x00FF_00FF;

    [Theory]
    [InlineData(Accelerator.Interpreter, false, false)]
    [InlineData(Accelerator.Interpreter, true, false)]
    [InlineData(Accelerator.Jit, false, false)]
    [InlineData(Accelerator.Jit, true, false)]
    [InlineData(Accelerator.Jit, false, true)]
    [InlineData(Accelerator.Jit, true, true)]
    public void Flash_executed_by_a_vCPU_switches_modes_from_one_instruction_to_the_next(
        Accelerator accelerator, bool translated, bool indirect)
    {
        if (accelerator == Accelerator.Jit && !Accelerators.CanTranslate)
        {
            return;
        }

        // Reads of the array and of the status in turns, 1000 times. X7 collects what differs. Translated code looks both reads up
        // together, in a way of its own where it sees no loop.
        uint[] code =
        [
            0xB940_0020, // 0: ldr w0, [x1]
            0x4A0A_0008, //    eor w8, w0, w10
            0x2A08_00E7, //    orr w7, w7, w8
            0xB900_00A2, //    str w2, [x5]
            0xB940_0023, //    ldr w3, [x1]
            0x4A0B_0068, //    eor w8, w3, w11
            0x2A08_00E7, //    orr w7, w7, w8
            0xB900_0184, //    str w4, [x12]
            0xF100_04C6, //    subs x6, x6, #1
            .. indirect ? [0x5400_0040, 0xD61F_0120] : (uint[])[0x54FF_FEE1], // b.eq end; br x9, or b.ne 0
            HostileMachine.Stay,
        ];
        var firmware = new FirmwareConfig(
            new FlashImage(MemoryMarshal.AsBytes(code.AsSpan()).ToArray(), ReadOnly: true),
            new FlashImage(new byte[] { 0xEF, 0xBE, 0xAD, 0xDE }, ReadOnly: false));
        using var machine = new HostileMachine(firmware: firmware, accelerator: accelerator);
        machine.Place(machine.Core, 0);
        if (translated)
        {
            // 1 GiB blocks: flash and devices as normal memory, and RAM.
            ulong* table = (ulong*)machine.Host(Root);
            table[0] = (1 << 10) | 1;
            table[1] = HostileMachine.Ram | (1 << 10) | 1;
            machine.SetRegime(HostileMachine.Untranslated(25 | (2ul << 32)) with { Sctlr = Sctlr.Reset | Sctlr.M, Ttbr0 = Root });
        }

        CpuState* s = machine.State;
        s->X[1] = s->X[5] = s->X[12] = Variables;
        s->X[2] = ReadStatus;
        s->X[4] = ReadArray;
        s->X[6] = 1000;
        s->X[10] = 0xDEAD_BEEF;
        s->X[11] = 0x0080_0080;
        machine.Core.Run(20_000);
        Assert.Equal((ulong)(code.Length - 1) * 4, s->Pc);
        Assert.Equal(0ul, s->X[6]);
        Assert.Equal(0ul, s->X[7]);
        Assert.Equal(0x0080_0080ul, s->X[3]);
    }
}
