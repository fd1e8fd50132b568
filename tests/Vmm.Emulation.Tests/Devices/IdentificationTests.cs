using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Psci;

namespace Vmm.Emulation.Tests.Devices;

/// <summary>
/// What each device says it is, held against its manual, at its place in the machine. That QEMU's say the same, the payload
/// <c>identification</c> of the system oracle shows; flash is there with firmware only.
/// </summary>
public sealed class IdentificationTests : IPsciEvents, IDisposable
{
    private readonly VirtMachine _machine;

    public IdentificationTests()
    {
        var image = new FlashImage(new byte[4], ReadOnly: false);
        _machine = new VirtMachine(
            new MachineConfig(CpuModel.Find("max")!, 1, new CpuTopology(1, 1, 2, 1), 16 << 20, new BootConfig(default, null, ""))
            {
                Firmware = new FirmwareConfig(image, image),
            },
            this);
    }

    void IPsciEvents.CpuOn(CpuIndex cpu, GuestPhysicalAddress entryPoint, ulong context) => throw new InvalidOperationException();

    // Words from an address on.
    public static TheoryData<string, ulong, uint[]> Registers { get; } = new()
    {
        { "GICD_IIDR: implementer Arm (IHI 0069, 12.9.10)", 0x0800_0008, [0x43B] },
        { "GICD PIDR4-7, PIDR0-3, CIDR0-3 (IHI 0069, 12.1.1; part 0x492)", 0x0800_FFD0,
            [0x44, 0, 0, 0, 0x92, 0xB4, 0x3B, 0, 0x0D, 0xF0, 0x05, 0xB1] },
        { "GICR_IIDR of CPU 1", 0x080C_0004, [0x43B] },
        { "GICR of CPU 0 (part 0x493)", 0x080A_FFD0, [0x44, 0, 0, 0, 0x93, 0xB4, 0x3B, 0, 0x0D, 0xF0, 0x05, 0xB1] },
        { "GICR of CPU 1", 0x080C_FFD0, [0x44, 0, 0, 0, 0x93, 0xB4, 0x3B, 0, 0x0D, 0xF0, 0x05, 0xB1] },
        { "UARTPeriphID, UARTPCellID (DDI 0183, 3.3.15; revision 1: FIFOs of 16)", 0x0900_0FE0,
            [0x11, 0x10, 0x14, 0, 0x0D, 0xF0, 0x05, 0xB1] },
        { "RTCPeriphID, RTCPCellID (DDI 0224, 3.4; revision 1)", 0x0901_0FE0, [0x31, 0x10, 0x14, 0, 0x0D, 0xF0, 0x05, 0xB1] },
        { "GPIOPeriphID, GPIOPCellID (DDI 0190, 3.3.13)", 0x0903_0FE0, [0x61, 0x10, 0x04, 0, 0x0D, 0xF0, 0x05, 0xB1] },
        { "fw_cfg DMA address: QEMU CFG (QEMU, docs/specs/fw_cfg.rst)", 0x0902_0010, [0x554D_4551, 0x4746_4320] },
    };

    [Theory]
    [MemberData(nameof(Registers))]
    public void Device_says_what_its_manual_says(string what, ulong address, uint[] words)
    {
        uint[] seen = [.. words.Select((_, i) => Read(address + (4 * (ulong)i)))];
        Assert.True(words.SequenceEqual(seen), $"{what}: {string.Join(' ', seen.Select(w => w.ToString("x")))}");
    }

    // Intel StrataFlash identifier codes: manufacturer 0x0089, device 0x0018, of both chips.
    [Fact]
    public void Flash_says_who_made_it()
    {
        Assert.True(_machine.Bus.TryWrite(0, 4, 0x0090_0090));
        Assert.Equal((0x0089_0089u, 0x0018_0018u), (Read(0), Read(4)));
    }

    // DEN0028, 7.3, and DEN0022, 5.15: discovery answers for itself and for what there is.
    [Theory]
    [InlineData(0x8000_0000u, 0u, 0x1_0001L)]
    [InlineData(0x8000_0001u, 0x8000_0000u, 0L)]
    [InlineData(0x8000_0001u, 0x8000_0001u, 0L)]
    [InlineData(0x8000_0001u, 0x8000_0002u, -1L)]
    [InlineData(0x8000_0001u, 0x8000_8000u, -1L)]
    [InlineData(0x8000_0001u, 0x8400_0000u, -1L)]
    [InlineData(0x8400_000Au, 0x8000_0000u, 0L)]
    [InlineData(0x8400_000Au, 0x8400_000Au, 0L)]
    [InlineData(0x8400_000Au, 0x8400_0000u, 0L)]
    [InlineData(0x8400_000Au, 0x8400_0005u, -1L)]
    [InlineData(0x8000_8000u, 0u, -1L)]
    public unsafe void Firmware_call_answers(uint function, uint argument, long result)
    {
        CpuState* s = _machine.Cpus[0].State;
        _machine.PowerOn();
        const ulong code = 0x4000_1000;
        *(uint*)_machine.Bus.WritablePointer(code) = 0xD400_0002; // hvc #0
        s->Pc = code;
        s->X[0] = function;
        s->X[1] = argument;
        _machine.Cpus[0].Run(1);
        Assert.Equal(result, (long)s->X[0]);
    }

    private uint Read(ulong address) =>
        _machine.Bus.TryRead(address, 4, out ulong value) ? (uint)value : throw new InvalidOperationException($"nothing at {address:x}");

    public void Dispose() => _machine.Dispose();
}
