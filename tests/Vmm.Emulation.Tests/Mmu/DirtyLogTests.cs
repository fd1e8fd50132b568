using System.Diagnostics;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Memory;
using Vmm.Tests;

namespace Vmm.Emulation.Tests.Mmu;

/// <summary>Each page that is written is reported, and no other, whatever writes it.</summary>
public sealed unsafe class DirtyLogTests
{
    private const ulong Page = GuestMemory.PageSize;

    // Physical; its number in memory.
    private const ulong Data = TranslatedCores.Frames;
    private const int DataPage = (int)((Data - TranslatedCores.Physical) / Page);

    private static TranslatedCores Machine(int cores, bool jit, out DirtyLog log)
    {
        var machine = new TranslatedCores(cores, jit);
        foreach (VcpuCore core in machine.Cores)
        {
            core.State->CpacrEl1 = 3 << 20;
            core.UpdateFpEnabled();
        }

        log = new DirtyLog(machine.Memory, machine.Cores[0].Broadcast!.ForgetAll);
        return machine;
    }

    [Theory]
    [InlineData(0xF900_0001, 0, 1)] // STR X1, [X0]
    [InlineData(0xF900_0001, 4092, 2)]
    [InlineData(0x3D80_0001, 4088, 2)] // STR Q1, [X0]
    [InlineData(0xA900_0801, 8, 1)] // STP X1, X2, [X0]
    [InlineData(0x4C00_A000, 4080, 2)] // ST1 {V0.16B, V1.16B}, [X0]
    [InlineData(0xF821_0002, 16, 1)] // LDADD X1, X2, [X0]
    [InlineData(0xF821_8002, 24, 1)] // SWP X1, X2, [X0]
    [InlineData(0xC89F_FC01, 32, 1)] // STLR X1, [X0]
    [InlineData(0xD50B_7420, 64, 1)] // DC ZVA, X0
    [InlineData(0xF940_0001, 0, 0)] // LDR X1, [X0]
    [InlineData(0xC85F_7C02, 0, 0)] // LDXR X2, [X0]
    public void Page_is_reported_when_an_instruction_writes_it_and_only_then(uint word, int offset, int pages)
    {
        foreach (bool jit in (bool[])[false, true])
        {
            using TranslatedCores machine = Machine(1, jit, out DirtyLog log);
            VcpuCore core = machine.Cores[0];
            ulong va = TranslatedCores.Kernel + Data + (ulong)offset;
            int[] expected = [.. Enumerable.Range(DataPage, pages)];

            // With what earlier loads and stores have left in the TLB.
            core.State->X[0] = va;
            Assert.True(machine.Execute(core, word));
            log.Start();
            for (int i = 0; i < 3; i++)
            {
                core.State->X[0] = va;
                machine.Load(core, TranslatedCores.Kernel + Data);
                Assert.Empty(log.Harvest());
                core.State->X[0] = va;
                Assert.True(machine.Execute(core, word));
                core.State->X[0] = va;
                Assert.True(machine.Execute(core, word));
                Assert.Equal(expected, log.Harvest());
            }

            log.Stop();
            Assert.True(machine.Execute(core, word));
            Assert.Empty(log.Harvest());
        }
    }

    [Fact]
    public void Store_exclusive_reports_its_page()
    {
        using TranslatedCores machine = Machine(1, jit: false, out DirtyLog log);
        VcpuCore core = machine.Cores[0];
        log.Start();
        core.State->X[0] = TranslatedCores.Kernel + Data;
        Assert.True(machine.Execute(core, 0xC85F_7C02));
        Assert.Empty(log.Harvest());
        core.State->X[0] = TranslatedCores.Kernel + Data;
        Assert.True(machine.Execute(core, 0xC803_7C01)); // STXR W3, X1, [X0]
        Assert.Equal(0ul, core.State->X[3]);
        Assert.Equal([DataPage], log.Harvest());
    }

    [Fact]
    public void Device_reports_what_it_writes_and_not_what_it_reads()
    {
        using TranslatedCores machine = Machine(1, jit: false, out DirtyLog log);
        PhysicalAddressSpace ram = machine.Cores[0].Bus;
        log.Start();
        Assert.True(ram.TryRead(Data, new byte[8192]));
        Assert.False(ram.TryWrite(TranslatedCores.Physical - 8, new byte[16]));
        Assert.Empty(log.Harvest());
        Assert.True(ram.TryWrite(Data + Page - 4, new byte[8]));
        Assert.True(ram.TryZero(Data + (4 * Page), 3 * Page));
        Assert.Equal([DataPage, DataPage + 1, DataPage + 4, DataPage + 5, DataPage + 6], log.Harvest());
    }

    // X0 the region, X1 the mask of offsets in it, X2 a random number, X3 and X4 how the next one is made, X10 rounds.
    private static readonly uint[] s_writer =
    [
        0x9B03_1042, // madd x2, x2, x3, x4
        0xD354_FC45, 0x8A01_00A5, 0x8B05_0006, 0xF900_00C2, // str x2, [x0 + random]: may cross pages
        0x927C_ECC7, 0xC85F_7CE8, 0x9100_0508, 0xC809_7CE8, // ldxr, add, stxr, at the 16 bytes of it
        0xD361_FC45, 0x8A01_00A5, 0x8B05_0007, 0x927C_ECE7, 0xF822_00E8, // ldadd x2, x8, [another]
        0xD369_FC45, 0x8A01_00A5, 0x8B05_0007, 0xD50B_7427, // dc zva, another
        0xD35B_FC45, 0x8A01_00A5, 0x8B05_0007, 0x3DC0_00E1, 0x3D80_00E1, // ldr q1, str q1, at another
        0x9100_054A, 0x17FF_FFE8, // add x10, x10, #1; b to the start
    ];

    /// <summary>
    /// Copies as a migration does: reported pages are copied while vCPUs and a device write. In the end the copy equals the memory, or the
    /// log has lost a page.
    /// </summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Copy_of_the_reported_pages_is_the_memory_after_all_has_stopped(bool jit)
    {
        const int Writers = 3;
        const ulong Region = 64 * Page;
        const int Harvests = 400;
        const long Pages = 5000;
        const ulong Rounds = 1000;
        using TranslatedCores machine = Machine(Writers, jit, out DirtyLog log);
        machine.Write(TranslatedCores.Code, s_writer);
        for (int i = 0; i < Writers; i++)
        {
            // Regions overlap by half, so that pages are shared.
            CpuState* s = machine.Cores[i].State;
            s->X[0] = TranslatedCores.Kernel + Data + ((ulong)i * Region / 2);
            s->X[1] = Region - 1;
            s->X[2] = (ulong)(20261128 + i);
            s->X[3] = 6364136223846793005;
            s->X[4] = 1442695040888963407;
        }

        byte[] copy = machine.Memory.Span(machine.Memory.Start, (int)machine.Memory.Size).ToArray();
        log.Start();
        bool stop = false;
        Thread[] threads =
        [
            .. machine.Cores.Select(core => new Thread(() =>
            {
                while (!Volatile.Read(ref stop))
                {
                    Assert.Equal(VcpuExit.BudgetSpent, core.Run(20_000));
                }
            })),
            new Thread(() =>
            {
                var random = new Random(7);
                PhysicalAddressSpace ram = machine.Cores[0].Bus;
                byte[] bytes = new byte[3 * Page];
                while (!Volatile.Read(ref stop))
                {
                    random.NextBytes(bytes);
                    ulong at = Data + (3 * Region) + (ulong)random.Next((int)Region);
                    Assert.True(random.Next(4) == 0
                        ? ram.TryZero(at, (ulong)random.Next(1, 9000))
                        : ram.TryWrite(at, bytes.AsSpan(0, random.Next(1, bytes.Length))));
                }
            }),
        ];
        Array.ForEach(threads, t => t.Start());
        var watch = Stopwatch.StartNew();
        long reported = 0;
        for (int i = 0;
            i < Harvests || reported < Pages || !Array.TrueForAll(machine.Cores, core => Volatile.Read(ref core.State->X[10]) > Rounds);
            i++)
        {
            reported += Copy();
            Assert.True(watch.Elapsed < Patience.Limit, $"{reported} pages in {i} harvests");
        }

        Volatile.Write(ref stop, true);
        Array.ForEach(threads, t => t.Join());
        Copy();
        Assert.True(machine.Memory.Span(machine.Memory.Start, copy.Length).SequenceEqual(copy), "a page that was written was not reported");
        Assert.Empty(log.Harvest());

        int Copy()
        {
            int[] pages = log.Harvest();
            for (int i = 0; i < pages.Length; i++)
            {
                Assert.True(i == 0 || pages[i] > pages[i - 1], "a page is reported twice");
                Assert.InRange(pages[i], DataPage, DataPage + (int)(5 * Region / Page));
                ulong at = (ulong)pages[i] * Page;
                machine.Memory.Span(machine.Memory.Start + at, (int)Page).CopyTo(copy.AsSpan((int)at));
            }

            return pages.Length;
        }
    }
}
