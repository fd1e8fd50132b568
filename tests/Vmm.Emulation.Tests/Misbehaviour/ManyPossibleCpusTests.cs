using System.Runtime.InteropServices;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Psci;
using Vmm.Emulation.Interrupts.GicV3;
using Vmm.Emulation.Tests.SystemOracle;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Misbehaviour;

/// <summary>Tests that measure the memory of the process: nothing else runs meanwhile.</summary>
[CollectionDefinition(nameof(MemoryMeasurement), DisableParallelization = true)]
public sealed class MemoryMeasurement;

/// <summary>
/// Machines with many possible CPUs: the disabled ones are passive records, and the most that can be possible still boot.
/// </summary>
[Collection(nameof(MemoryMeasurement))]
public sealed unsafe partial class ManyPossibleCpusTests(ITestOutputHelper output) : IPsciEvents
{
    private const int Few = 8;
    private const int Limit = 65536;

    void IPsciEvents.CpuOn(CpuIndex cpu, GuestPhysicalAddress entryPoint, ulong context)
    {
    }

    private VirtMachine Make(int possible, BootConfig? boot = null, bool acpi = true) => new(
        new MachineConfig(CpuModel.Find("neoverse-n1")!, 1, new CpuTopology(1, 1, possible, 1), 64 << 20,
            boot ?? new BootConfig(default, null, ""))
        {
            Acpi = acpi,
        },
        this);

    [Fact]
    public void Disabled_vcpu_costs_less_than_64_KiB()
    {
        // Once for all that is made on first use.
        Measure(Few);

        // What tests before this one have left may be given back meanwhile, which changes one measurement but not most.
        long[] costs = [.. Enumerable.Range(0, 5)
            .Select(_ => -Measure(Few) + Measure(MachineConfig.MaxCpus)).Order()];
        long each = costs[costs.Length / 2] / (MachineConfig.MaxCpus - Few);
        output.WriteLine($"[figure] a disabled vCPU costs {each} bytes");
        Assert.InRange(each, sizeof(CpuState), Limit - 1);
    }

    [Fact]
    public void Vcpu_that_was_enabled_and_is_disabled_again_gives_its_execution_state_back()
    {
        const int Cpus = 32;
        using VirtMachine machine = Make(Cpus);
        Use(machine, Cpus, disable: true);

        // The runtime compiles methods in the background and takes memory for that: the least of three is what the machine keeps.
        long kept = long.MaxValue;
        for (int round = 0; round < 3; round++)
        {
            long before = Allocated();
            Use(machine, Cpus, disable: false);
            long enabled = Allocated();
            for (int i = 1; i < Cpus; i++)
            {
                machine.SetEnabled(new CpuIndex(i), false);
            }

            long disabled = Allocated();
            output.WriteLine(
                $"[figure] an enabled vCPU with eight address spaces costs {(enabled - before) / (Cpus - 1)} bytes more, "
                + $"{(disabled - before) / (Cpus - 1)} bytes when disabled again");
            Assert.True(enabled - before > (long)(Cpus - 1) * Limit, "the measurement does not see the TLBs");
            kept = Math.Min(kept, disabled - before);
        }

        Assert.True(kept < (Cpus - 1) * 4096, $"{kept} bytes are not given back");
    }

    /// <summary>cpus=1,maxcpus=512: tables, device tree, all redistributors, and a guest that runs.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Machine_with_512_possible_cpus_boots(bool acpi)
    {
        using var program = new SystemPayload("eret");
        using VirtMachine machine = Make(MachineConfig.MaxCpus, new BootConfig(File.ReadAllBytes(program.Image), null, ""), acpi);
        machine.PowerOn();
        VcpuExit exit;
        do
        {
            exit = machine.Cpus[0].Run(1_000_000);
        }
        while (exit == VcpuExit.BudgetSpent);

        Assert.Equal(VcpuExit.SystemOff, exit);
        byte[] text = new byte[1 << 16];
        int length = machine.Board.Uart.Drain(text);
        Assert.EndsWith(SystemPayload.LastLine, System.Text.Encoding.Latin1.GetString(text, 0, length), StringComparison.Ordinal);

        // The redistributor of the last CPU, in the second region, says so: GICR_TYPER.Last and its processor number, beside PLPIS and
        // CommonLPIAff.
        ulong last = VirtMap.Board.Redistributors[1].Address.Value
            + ((ulong)(MachineConfig.MaxCpus - 1 - VirtMap.LowRedistributors) * GicSpec.RedistributorStride);
        Assert.True(machine.Bus.TryRead(last + 8, 4, out ulong typer));
        Assert.Equal(GicSpec.RedistributorLpis | (1ul << 4) | ((MachineConfig.MaxCpus - 1ul) << 8), typer);
    }

    private long Measure(int possible)
    {
        long before = Allocated();
        using VirtMachine machine = Make(possible);
        return Allocated() - before;
    }

    // Enables all CPUs and lets each run in eight address spaces, which is as many as a vCPU keeps translations of.
    private static void Use(VirtMachine machine, int cpus, bool disable)
    {
        *(uint*)machine.Ram.Host = HostileMachine.Stay;
        for (int i = 1; i < cpus; i++)
        {
            machine.SetEnabled(new CpuIndex(i), true);
            VcpuCore core = machine.Cpus[i];
            core.Reset(HostileMachine.Ram, 0);
            for (ulong asid = 1; asid <= 8; asid++)
            {
                core.State->Ttbr0El1 = asid << 48;
                core.Mmu.SwitchContext();
                core.Run(10);
            }

            if (disable)
            {
                machine.SetEnabled(new CpuIndex(i), false);
            }
        }
    }

    // Bytes of the managed heap and of malloc, which is all that a machine without its RAM takes.
    private static long Allocated()
    {
        long managed = GC.GetTotalMemory(forceFullCollection: true);
        AllocatorStatistics native = MallInfo2();
        return managed + (long)native.InUse + (long)native.MappedBytes;
    }

    /// <summary>struct mallinfo2 of glibc.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct AllocatorStatistics(
        nuint Arena, nuint FreeChunks, nuint FastChunks, nuint Mapped, nuint MappedBytes, nuint Highest,
        nuint FastFree, nuint InUse, nuint Free, nuint Trimmable);

    [LibraryImport("libc", EntryPoint = "mallinfo2")]
    private static partial AllocatorStatistics MallInfo2();
}
