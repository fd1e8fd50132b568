using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.SystemRegisters;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Tests.SystemOracle;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Misbehaviour;

/// <summary>
/// Garbage in every register of every device and of the GIC's CPU interface, the timers and debug. Afterwards a reset makes a machine that
/// behaves as a new one: a payload that prints and takes interrupts prints the same.
/// </summary>
public sealed unsafe class DeviceGarbageTests(ITestOutputHelper output) : IDisposable
{
    private const int Seed = 20261127;
    private const int Cpus = 3;
    private const int PossibleCpus = 5;
    private const int Instructions = 400_000;

    // Of a window of PCI so much is swept; what is behind it is answered as its beginning.
    private const ulong LargestSweep = 0x10_0000;
    private const ulong Root = HostileMachine.Ram + 0x10_0000;
    private static readonly int[] Sizes = [1, 2, 4, 8];

    private readonly SystemPayload _interrupts = new("gic_interrupts");
    private readonly SystemPayload _timers = new("timers");
    private readonly Random _random = new(Seed);

    public void Dispose()
    {
        _interrupts.Dispose();
        _timers.Dispose();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Machine_after_garbage_in_every_register_resets_to_a_working_one(bool timers)
    {
        BootConfig boot = new(File.ReadAllBytes((timers ? _timers : _interrupts).Image), null, "");
        using var untouched = new HostileMachine(Cpus, PossibleCpus, boot, "neoverse-n1");
        string expected = untouched.Boot();
        Assert.EndsWith(SystemPayload.LastLine, expected, StringComparison.Ordinal);

        using var machine = new HostileMachine(Cpus, PossibleCpus, boot, "neoverse-n1");
        long accesses = Sweep(machine.Machine.Bus, machine.Windows);
        int instructions = Execute(machine);
        string actual = machine.Boot();
        output.WriteLine(
            $"[figure] device garbage: seed {Seed}, {accesses} accesses on the bus, {instructions} by instructions, "
            + $"then {actual.Length} bytes printed");
        Assert.Equal(expected, actual);
    }

    // Every size at every offset, aligned and not, written and read in random order of the two.
    private long Sweep(PhysicalAddressSpace bus, IReadOnlyList<PhysicalAddressSpace.Window> windows)
    {
        long count = 0;
        foreach (PhysicalAddressSpace.Window window in windows)
        {
            ulong end = Math.Min(window.End, window.Start + LargestSweep);
            for (ulong address = window.Start - 8; address < end; address++)
            {
                foreach (int size in Sizes)
                {
                    bool inside = address >= window.Start && address + (ulong)size <= window.End;
                    bool other = !inside && bus.FindDevice(address) is { } w && address + (ulong)size <= w.End;
                    Assert.True(bus.TryWrite(address, size, Any()) == (inside || other), $"write of {size} at {address:x}");
                    Assert.True(bus.TryRead(address, size, out ulong value) == (inside || other), $"read of {size} at {address:x}");
                    Assert.True(size == 8 || value >> (size * 8) == 0, $"read of {size} at {address:x}: {value:x}");
                    count += 2;
                }
            }
        }

        return count;
    }

    // By loads and stores of CPU 0, MMU off and devices mapped as normal memory, and MSR and MRS of ICC_*, timer and debug registers.
    private int Execute(HostileMachine machine)
    {
        uint[] words =
        [
            // STR and LDR of 1 to 8 bytes
            0x3900_0020, 0x7900_0020, 0xB900_0020, 0xF900_0020, 0x3940_0020, 0x7940_0020, 0xB940_0020, 0xF940_0020,
            // STP, LDP, STR Q, LDR Q, STP Q, ST4, LD4
            0xA900_0C20, 0xA940_0C22, 0x3D80_0020, 0x3DC0_0020, 0xAD00_0420, 0x4C00_0020, 0x4C40_0020,
            // LDADD, LDXR, CASA, DC ZVA, STR post-index
            0xF820_0020, 0xC85F_7C20, 0x8890_FC20, 0xD50B_7421, 0xF800_8420,
            .. SystemWords(),
        ];
        for (int i = 0; i < words.Length; i++)
        {
            machine.Write(HostileMachine.Code + ((ulong)i * 8), words[i], HostileMachine.Stay);
        }

        // 1 GiB blocks: devices as normal memory, RAM.
        ulong* table = (ulong*)machine.Host(Root);
        table[0] = (1 << 10) | (1ul << 53) | (1ul << 54) | 1;
        table[1] = HostileMachine.Ram | (1 << 10) | 1;
        Regime mapped = HostileMachine.Untranslated(25 | (2ul << 32)) with { Sctlr = Sctlr.Reset | Sctlr.M, Ttbr0 = Root };
        machine.FillVectors();
        machine.Core.Code.InvalidateAll();
        IReadOnlyList<PhysicalAddressSpace.Window> windows = machine.Windows;
        for (int i = 0; i < Instructions; i++)
        {
            if (i % 64 == 0)
            {
                machine.Place(machine.Core, HostileMachine.Code);
                machine.SetRegime(i % 128 == 0 ? mapped : HostileMachine.Untranslated());
            }

            PhysicalAddressSpace.Window window = windows[_random.Next(windows.Count)];
            CpuState* s = machine.State;
            ulong address = window.Start + (Any() % window.Size);
            machine.Core.SetPstate(Pstate.ModeEl1h | Pstate.DaifMask);
            s->Pc = HostileMachine.Code + ((ulong)_random.Next(words.Length) * 8);
            s->X[0] = Any();
            s->X[1] = _random.Next(2) == 0 ? address & ~7ul : address;
            s->X[3] = Any();
            Assert.Equal(VcpuExit.BudgetSpent, machine.Core.Run(1));
            HostileMachine.AssertLegal(machine.Core, $"{*(uint*)machine.Host(s->Pc):x8}");
        }

        return Instructions;
    }

    // MSR of X0 or X1 and MRS to X2: all that a register reaches which something outside the vCPU's own state hears of, and debug.
    private static IEnumerable<uint> SystemWords()
    {
        for (int key = 0; key < 1 << 16; key++)
        {
            int crn = (key >> 7) & 15;
            bool debug = key >> 14 == 2;
            bool interruptOrTimer = key >> 14 == 3
                && (crn == 14 || (crn == 12 && ((key >> 3) & 15) >= 8) || (key & 0x7FF) >> 3 == ((4 << 4) | 6));
            if ((debug || interruptOrTimer) && SystemRegisterTable.Find(key) >= 0)
            {
                yield return 0xD510_0000 | ((uint)key << 5);
                yield return 0xD510_0001 | ((uint)key << 5);
                yield return 0xD530_0002 | ((uint)key << 5);
            }
        }
    }

    private ulong Any() => (ulong)_random.NextInt64(long.MinValue, long.MaxValue);
}
