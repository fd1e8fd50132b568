using System.Globalization;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Jit;
using Vmm.Emulation.Tests.InstructionOracle;

namespace Vmm.Emulation.Tests.Jit;

/// <summary>The memory of translated code: one mapping or two, and how much of it is used.</summary>
public sealed unsafe class CodeMemoryTests
{
    private const int Rounds = 1200;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Memory_is_executed_where_it_says(bool dual)
    {
        using ExecutableMemory memory = ExecutableMemory.TryReserve(1 << 20, dual)!;
        Assert.Equal(dual, memory.ExecutableOffset != 0);

        // mov eax, 42; ret, at the last bytes that fit.
        ReadOnlySpan<byte> code = [0xB8, 42, 0, 0, 0, 0xC3];
        byte* written = memory.Start + (1 << 20) - code.Length;
        code.CopyTo(new Span<byte>(written, code.Length));
        Assert.Equal(42, ((delegate* unmanaged<int>)(written + memory.ExecutableOffset))());
        string[] maps = [.. File.ReadAllLines("/proc/self/maps")
            .Where(line => Holds(line, (ulong)written) || Holds(line, (ulong)(written + memory.ExecutableOffset)))];
        Assert.Equal(dual ? ["r-xs", "rw-s"] : ["rwxp"], maps.Select(line => line.Split(' ')[1]).Order());
    }

    /// <summary>Loops, calls, jumps that are linked later, and code given up several times, in a room of the least size.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Code_stays_inside_its_room_and_right(bool dual)
    {
        using var jit = new EngineUnderTest(CpuModel.Find("max")!, Accelerator.Jit, TranslationCache.SmallestCapacity, dual);
        for (int round = 0; round < Rounds; round++)
        {
            jit.PlantProgram(Program(round));
            OracleRecord record = default;
            record.Pc = OracleRecord.Code;
            record.X[27] = OracleRecord.Window;
            record.Memory[0] = (byte)round;
            Assert.Equal(VcpuExit.WaitForInterrupt, jit.RunProgram(ref record, 100_000));
            Assert.Equal(3ul * ((100ul * (byte)round) + (ulong)(round & 0xFFF)), record.X[1]);
            TranslationStatistics statistics = jit.Translations!.Statistics;
            Assert.True(statistics.Used <= statistics.Capacity);
        }

        Assert.True(jit.Translations!.GivenUp >= 3, $"given up {jit.Translations.GivenUp} times");
    }

    [Fact]
    public void Room_that_the_host_has_not_is_one_clear_line()
    {
        var config = new MachineConfig(CpuModel.Find("max")!, 1, new CpuTopology(1, 1, 1, 1), 16 << 20, new BootConfig(default, null, ""))
        {
            Accelerator = Accelerator.Jit,
            TranslationBytes = 1L << 48,
        };
        string said = Assert.Throws<InsufficientMemoryException>(() => new VirtMachine(config, new NoEvents()).Dispose()).Message;
        Assert.Equal("the host refuses 268435456 MiB for translated code: use less tb-size, or --accel interp", said);
    }

    // Three times: a call of 100 loads, each added to X1, and a constant.
    private static uint[] Program(int round)
    {
        var words = new List<uint>
        {
            0xD280_007C, // mov x28, #3
            0x9400_0004, // loop: bl over
            0xF100_079C, // subs x28, x28, #1
            0x54FF_FFC1, // b.ne loop
            0xD503_207F, // wfi
        };
        for (int i = 0; i < 100; i++)
        {
            words.Add(0x3940_0362); // over: ldrb w2, [x27]
            words.Add(0x8B02_0021); // add x1, x1, x2
        }

        words.Add(0x9100_0021 | ((uint)(round & 0xFFF) << 10)); // add x1, x1, #round
        words.Add(0xD65F_03C0); // ret
        return [.. words];
    }

    private static bool Holds(string line, ulong address)
    {
        string[] range = line.Split(' ')[0].Split('-');
        return address >= ulong.Parse(range[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture)
            && address < ulong.Parse(range[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    }

    private sealed class NoEvents : Vmm.Emulation.Cpu.Psci.IPsciEvents
    {
        public void CpuOn(CpuIndex cpu, GuestPhysicalAddress entryPoint, ulong context)
        {
        }
    }
}
