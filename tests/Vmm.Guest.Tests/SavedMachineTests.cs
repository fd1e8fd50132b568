using System.Security.Cryptography;
using System.Text;
using Vmm.Emulation;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Psci;
using Vmm.Emulation.Devices.Pl031;
using Vmm.Emulation.State;
using Xunit.Abstractions;

namespace Vmm.Guest.Tests;

/// <summary>A machine whose time is counted in instructions does the same again, also from where another one was saved.</summary>
public sealed class SavedMachineTests(ITestOutputHelper output)
{
    // A tenth to a fifth of a boot, in which timers, the console and user space have begun or are about to.
    private const long Saved = 150_000_000;
    private const long Compared = 60_000_000;

    // Not what any other slice here divides.
    private const long Step = 1_000_003;

    [Fact]
    public void Machine_saved_in_mid_boot_and_its_copy_go_on_to_the_same_state()
    {
        using var first = new CountedMachine();
        first.Run(Saved, 777_777);
        Assert.Contains("Linux version", first.Console, StringComparison.Ordinal);
        using var archive = new MemoryStream();
        Archive.Save(archive, first.Units);

        using var second = new CountedMachine();
        first.Memory.CopyTo(second.Memory);
        archive.Position = 0;
        Archive.Load(archive, second.Units);
        Assert.Equal(first.State, second.State);

        // By the least steps that there are, from one branch that is taken to the next; then by larger ones, in which the copy is cut into
        // other slices.
        for (int i = 0; i < 1000; i++)
        {
            long until = first.Instructions + 1;
            first.Run(until, 1);
            second.Run(until, 1);
            Assert.Equal(first.State, second.State);
        }

        long end = first.Instructions + Compared;
        while (first.Instructions < end)
        {
            long until = first.Instructions + Step;
            first.Run(until, Step);
            second.Run(until, 123_457);
            Assert.Equal(first.State, second.State);
        }

        Assert.True(first.Memory.SequenceEqual(second.Memory), "the memories differ");
        output.WriteLine($"{first.Instructions:N0} instructions, last printed: {first.Console.TrimEnd().Split('\n')[^1]}");
    }

    [Fact]
    public void Machine_that_counts_instructions_boots_the_same_twice()
    {
        string[] states = [.. Enumerable.Range(0, 2).Select(i =>
        {
            using var machine = new CountedMachine();
            machine.Run(Saved, 500_000 + (i * 12_345));
            return machine.State + Convert.ToHexString(SHA256.HashData(machine.Memory));
        })];
        Assert.Equal(states[0], states[1]);
    }

    private sealed class CountedMachine : IPsciEvents, IDisposable
    {
        private readonly VirtMachine _machine;
        private readonly StringBuilder _console = new();

        // A CPU without RNDR, whose numbers are the host's.
        public CountedMachine()
        {
            var config = new MachineConfig(
                CpuModel.Find("neoverse-n1")!, 1, new CpuTopology(1, 1, 1, 1), 256 << 20,
                new BootConfig(TestGuest.CloudKernel, TestGuest.BareInitrd, "console=ttyAMA0 earlycon nokaslr"))
            {
                Accelerator = Accelerator.Interpreter,
                InstructionShift = 4,
                DtbRandomness = false,
                Rtc = new RtcConfig(DateTimeOffset.UnixEpoch.AddYears(56), RtcClock.Guest),
            };
            _machine = new VirtMachine(config, this);
            _machine.PowerOn();
        }

        public IReadOnlyList<IStateUnit> Units => _machine.StateUnits;

        public Span<byte> Memory => _machine.Ram.Span(_machine.Ram.Start, (int)_machine.Ram.Size);

        public long Instructions => _machine.Cpus[0].InstructionCount;

        public string Console => _console.ToString();

        /// <summary>All that is saved, by a sum; and where the CPU is, for a failure's report.</summary>
        public string State
        {
            get
            {
                using var archive = new MemoryStream();
                Archive.Save(archive, Units);
                return $"{_machine.Cpus[0].DumpRegisters()}\n{Instructions}\n{Convert.ToHexString(SHA256.HashData(archive.ToArray()))}";
            }
        }

        /// <summary>
        /// Executes until so many instructions have been executed in all. The console's bytes are taken at the end alone, for taking them
        /// is an event for the guest.
        /// </summary>
        public void Run(long until, long slice)
        {
            while (Instructions < until)
            {
                VcpuExit exit = _machine.Run(_machine.Cpus[0], Math.Min(slice, until - Instructions));
                Assert.Contains(exit, (VcpuExit[])[VcpuExit.BudgetSpent, VcpuExit.WaitForInterrupt, VcpuExit.WaitForEvent]);
            }

            byte[] bytes = new byte[1 << 16];
            _console.Append(Encoding.ASCII.GetString(bytes, 0, _machine.Board.Uart.Drain(bytes)));
        }

        public void CpuOn(CpuIndex cpu, GuestPhysicalAddress entryPoint, ulong context)
        {
        }

        public void Dispose() => _machine.Dispose();
    }
}
