using System.Text;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Psci;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.CpuHotplug;
using Vmm.Emulation.Devices.Ged;
using Vmm.Emulation.Tracing;

namespace Vmm.Emulation.Tests.Tracing;

/// <summary>What one program that touches devices, PSCI and the GIC leaves in the trace, by category.</summary>
public sealed unsafe class MachineTraceTests : IPsciEvents
{
    private const ulong Code = 0x4000_0000;

    private static readonly uint[] Program =
    [
        0xB900_0004, // str w4, [x0]
        0xB940_0025, // ldr w5, [x1]
        0xB900_0046, // str w6, [x2]
        0x3940_1045, // ldrb w5, [x2, #4]
        0xAA03_03E0, // mov x0, x3
        0xD400_0002, // hvc #0
        0xD538_CC05, // mrs x5, icc_iar1_el1
        0xD518_CBA7, // msr icc_sgi1r_el1, x7
        0xD518_CC28, // msr icc_eoir1_el1, x8
        0x1400_0000, // b .
    ];

    void IPsciEvents.CpuOn(CpuIndex cpu, GuestPhysicalAddress entryPoint, ulong context)
    {
    }

    private static ulong Address<T>(VirtMachine machine)
        where T : IDevice => machine.Board.Devices.First(d => d.Device is T).At.Address;

    // Lines without their time.
    private string[] Run(TraceCategories categories, out ulong[] registers)
    {
        var output = new MemoryStream();
        using (var trace = new TraceLog(output, categories))
        {
            var config = new MachineConfig(CpuModel.Find("max")!, 1, new CpuTopology(1, 1, 2, 1), 16 << 20,
                new BootConfig(default, null, ""))
            {
                Trace = categories == TraceCategories.None ? null : trace,
            };
            using var machine = new VirtMachine(config, this);
            Program.AsSpan().CopyTo(new Span<uint>(machine.Ram.Host, Program.Length));
            VcpuCore core = machine.Cpus[0];
            core.Reset(Code, VirtMap.Board.Uart.Address);
            core.State->X[1] = Address<Ged>(machine);
            core.State->X[2] = Address<CpuHotplugBlock>(machine);
            core.State->X[3] = 0x8400_0000;
            core.State->X[4] = 'A';
            core.State->X[7] = 3ul << 24;
            core.State->X[8] = 27;
            machine.Board.Ged.Raise(GedEvents.PowerButton);
            core.Run(Program.Length);
            registers = [.. Enumerable.Range(0, 31).Select(i => core.State->X[i]), core.State->Pc];
        }

        return [.. Encoding.UTF8.GetString(output.ToArray()).Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(l => l[(l.IndexOf(' ') + 1)..])];
    }

    [Theory]
    [InlineData(
        TraceCategories.Mmio,
        "mmio cpu0 write pl011+0x0 size 4 value 0x41",
        "mmio cpu0 read ged+0x0 size 4 value 0x2",
        "mmio cpu0 write acpi-cpu-hotplug+0x0 size 4 value 0x0",
        "mmio cpu0 read acpi-cpu-hotplug+0x4 size 1 value 0x1")]
    [InlineData(
        TraceCategories.Acpi,
        "acpi cpu0 read ged selector 0x2",
        "acpi cpu0 write acpi-cpu-hotplug CPU selector 0x0",
        "acpi cpu0 read acpi-cpu-hotplug status flags 0x1")]
    [InlineData(TraceCategories.Psci, "psci cpu0 PSCI_VERSION(0x9080000, 0x90d0000, 0x84000000) = 65537")]
    [InlineData(
        TraceCategories.Irq,
        "irq spi 41 rises",
        "irq spi 41 falls",
        "irq cpu0 acknowledges 1023 (ICC_IAR1_EL1)",
        "irq cpu0 sends SGIs 0x3000000 (ICC_SGI1R_EL1)",
        "irq cpu0 ends 27 (ICC_EOIR1_EL1)")]
    [InlineData(
        TraceCategories.Insn,
        "insn cpu0 EL1 0x0000000040000000 b9000004 STR (unsigned offset) 32",
        "insn cpu0 EL1 0x0000000040000014 d4000002 HVC",
        "insn cpu0 EL1 0x0000000040000024 14000000 B")]
    public void Category_shows_its_lines_and_changes_nothing(TraceCategories category, params string[] expected)
    {
        string[] lines = Run(category, out ulong[] registers);
        Assert.Empty(Run(TraceCategories.None, out ulong[] untraced));
        Assert.Equal(untraced, registers);
        if (category == TraceCategories.Insn)
        {
            Assert.Equal(Program.Length, lines.Length);
            Assert.All(expected, l => Assert.Contains(l, lines));
        }
        else
        {
            Assert.Equal(expected, lines);
        }
    }
}
