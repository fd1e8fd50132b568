using Vmm.Emulation.Cpu;
using Vmm.Emulation.Devices.FwCfg;
using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.Mmu;

/// <summary>An access to a page that has not arrived is not made, asks for the page once, and is made when it has come.</summary>
public sealed unsafe class MissingPagesTests
{
    private const ulong Page = GuestMemory.PageSize;
    private const ulong Data = TranslatedCores.Frames;
    private const int DataPage = (int)((Data - TranslatedCores.Physical) / Page);
    private const int Pages = 4096;
    private const uint Stay = 0x1400_0000;

    private static TranslatedCores Machine(int cores, bool jit, out MissingPages missing)
    {
        var machine = new TranslatedCores(cores, jit);
        foreach (VcpuCore core in machine.Cores)
        {
            core.State->CpacrEl1 = 3 << 20;
            core.UpdateFpEnabled();
            for (int i = 0; i < 8; i++)
            {
                core.State->X[i] = 0x0101_0101_0101_0101ul * (ulong)(i + 1);
                core.State->V[2 * i] = ~core.State->X[i];
            }
        }

        var random = new Random(5);
        random.NextBytes(new Span<byte>(machine.Memory.Host + (DataPage * (long)Page), 8 * (int)Page));
        missing = new MissingPages(
            machine.Memory,
            machine.Cores[0].Broadcast!.ForgetAll,
            () => Array.ForEach(machine.Cores, core => core.Interrupts.PageArrived()));
        return machine;
    }

    private static string State(VcpuCore core) =>
        core.DumpRegisters() + string.Join(' ', new ReadOnlySpan<ulong>(core.State->V, 64).ToArray());

    [Theory]
    [InlineData(0xF940_0001, 0, 1)] // LDR X1, [X0]
    [InlineData(0xF940_0001, 4092, 2)]
    [InlineData(0xF900_0001, 8, 1)] // STR X1, [X0]
    [InlineData(0xF900_0001, 4092, 2)]
    [InlineData(0x3DC0_0001, 4088, 2)] // LDR Q1, [X0]
    [InlineData(0xA8C1_0801, 4088, 2)] // LDP X1, X2, [X0], #16
    [InlineData(0xA981_0801, 4072, 2)] // STP X1, X2, [X0, #16]!
    [InlineData(0x4C40_A000, 4080, 2)] // LD1 {V0.16B, V1.16B}, [X0]
    [InlineData(0x4C00_A000, 4080, 2)] // ST1 {V0.16B, V1.16B}, [X0]
    [InlineData(0xF821_0002, 16, 1)] // LDADD X1, X2, [X0]
    [InlineData(0x4822_7C04, 32, 1)] // CASP X2, X3, X4, X5, [X0]
    [InlineData(0xC8DF_FC01, 24, 1)] // LDAR X1, [X0]
    [InlineData(0xC89F_FC01, 24, 1)] // STLR X1, [X0]
    [InlineData(0xC85F_7C02, 0, 1)] // LDXR X2, [X0]
    [InlineData(0xD50B_7420, 64, 1)] // DC ZVA, X0
    public void Access_waits_for_each_of_its_pages_and_then_does_what_it_does(uint word, int offset, int pages)
    {
        foreach (bool jit in (bool[])[false, true])
        {
            using TranslatedCores expected = Machine(1, jit, out _);
            expected.Cores[0].State->X[0] = TranslatedCores.Kernel + Data + (ulong)offset;
            Assert.True(expected.Execute(expected.Cores[0], word));

            using TranslatedCores machine = Machine(1, jit, out MissingPages missing);
            VcpuCore core = machine.Cores[0];
            byte[] bytes = new ReadOnlySpan<byte>(machine.Memory.Host + (DataPage * (long)Page), 2 * (int)Page).ToArray();
            new Span<byte>(machine.Memory.Host + (DataPage * (long)Page), bytes.Length).Fill(0xEE);

            // With a translation in the TLB from before.
            machine.Load(core, TranslatedCores.Kernel + Data);
            core.State->X[1] = 0x0202_0202_0202_0202;
            missing.Start(ArrivingRam.Bits(Pages, DataPage, DataPage + 1));
            core.State->X[0] = TranslatedCores.Kernel + Data + (ulong)offset;
            machine.Write(TranslatedCores.Code, word, Stay);
            core.Code.InvalidateAll();
            core.State->Pc = TranslatedCores.Code;
            string before = State(core);
            long executed = core.InstructionCount;
            for (int page = DataPage; page < DataPage + pages; page++)
            {
                for (int again = 0; again < 3; again++)
                {
                    Assert.Equal(VcpuExit.PageMissing, core.Run(1));
                    Assert.Equal(before, State(core));
                }

                Assert.True(missing.Requests.TryRead(out int requested));
                Assert.Equal(page, requested);
                Assert.False(missing.Requests.TryRead(out _), "a page is asked for twice");
                Assert.True(missing.Arrive(page, bytes.AsSpan((page - DataPage) * (int)Page, (int)Page)));
                Assert.False(missing.Arrive(page, new byte[Page]));
            }

            Assert.Equal(executed, core.InstructionCount);
            core.Run(1);
            Assert.Equal(State(expected.Cores[0]), State(core));
            Assert.Equal(2 - pages, missing.Count);
            Assert.True(new ReadOnlySpan<byte>(machine.Memory.Host + (DataPage * (long)Page), pages * (int)Page).SequenceEqual(
                new ReadOnlySpan<byte>(expected.Memory.Host + (DataPage * (long)Page), pages * (int)Page)));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Fetch_and_each_table_of_a_walk_wait(bool jit)
    {
        const ulong Va = 0x1000_0000;
        using TranslatedCores machine = Machine(1, jit, out MissingPages missing);
        VcpuCore core = machine.Cores[0];
        machine.Map(machine.Root, Va, Data, TranslatedCores.Normal);
        machine.Write(TranslatedCores.Kernel + Data, 0xF940_0001, 0xD508_7800, Stay); // ldr x1, [x0]; at s1e1r, x0
        var pages = new List<int>();
        for (int level = 1; level <= 3; level++)
        {
            pages.Add((int)((machine.Descriptor(machine.Root, Va, level) - TranslatedCores.Physical) / Page));
        }

        pages.Add(DataPage);
        byte[][] copies = [.. pages.Select(p => new ReadOnlySpan<byte>(machine.Memory.Host + (p * (long)Page), (int)Page).ToArray())];
        foreach (int page in pages)
        {
            new Span<byte>(machine.Memory.Host + (page * (long)Page), (int)Page).Clear();
        }

        missing.Start(ArrivingRam.Bits(Pages, pages));
        core.State->X[0] = Va;
        core.State->Pc = Va;
        for (int i = 0; i < pages.Count; i++)
        {
            Assert.Equal(VcpuExit.PageMissing, core.Run(2));
            Assert.Equal(Va, core.State->Pc);
            Assert.True(missing.Requests.TryRead(out int requested));
            Assert.Equal(pages[i], requested);
            missing.Arrive(requested, copies[i]);
        }

        Assert.Equal(0, missing.Count);
        core.Run(2);
        Assert.Equal(Va + 8, core.State->Pc);
        Assert.Equal(0xD508_7800_F940_0001ul, core.State->X[1]);
        Assert.Equal(Data, core.State->ParEl1 & 0x0000_FFFF_FFFF_F001);
        Assert.True(missing.Requests.Completion.IsCompleted);
    }

    [Fact]
    public void Address_translation_instruction_waits_for_a_table()
    {
        const ulong Va = 0x2000_0000;
        using TranslatedCores machine = Machine(1, jit: false, out MissingPages missing);
        VcpuCore core = machine.Cores[0];
        machine.Map(machine.Root, Va, Data);
        int table = (int)((machine.Descriptor(machine.Root, Va) - TranslatedCores.Physical) / Page);
        byte[] copy = new ReadOnlySpan<byte>(machine.Memory.Host + (table * (long)Page), (int)Page).ToArray();
        missing.Start(ArrivingRam.Bits(Pages, table));
        machine.Write(TranslatedCores.Code, 0xD508_7800, Stay);
        core.State->X[0] = Va;
        core.State->Pc = TranslatedCores.Code;
        Assert.Equal(VcpuExit.PageMissing, core.Run(1));
        Assert.Equal(TranslatedCores.Code, core.State->Pc);
        missing.Arrive(table, copy);
        core.Run(1);
        Assert.Equal(Data, core.State->ParEl1 & 0x0000_FFFF_FFFF_F001);
    }

    [Fact]
    public void Waiting_vcpu_is_woken_by_its_page_an_interrupt_or_a_request_to_leave()
    {
        using TranslatedCores machine = Machine(1, jit: false, out MissingPages missing);
        VcpuCore core = machine.Cores[0];
        var waker = new CountingWaker();
        core.Interrupts.SetWaker(waker);
        missing.Start(ArrivingRam.Bits(Pages, DataPage, DataPage + 1));
        machine.Write(TranslatedCores.Code, 0xF940_0001, Stay);
        core.State->X[0] = TranslatedCores.Kernel + Data;
        core.State->Pc = TranslatedCores.Code;

        // An input that is masked has been looked at; the vCPU still waits.
        core.Interrupts.SetInput(ICpuInputs.Irq, true);
        Assert.Equal(VcpuExit.PageMissing, core.Run(1));
        Assert.True(core.Interrupts.TryPark());
        Assert.True(core.Interrupts.IsParked);
        core.RequestExit();
        Assert.Equal((1, false), (waker.Wakes, core.Interrupts.IsParked));
        Assert.Equal(VcpuExit.Requested, core.Run(1));
        Assert.Equal(VcpuExit.PageMissing, core.Run(1));
        Assert.True(core.Interrupts.TryPark());
        core.Interrupts.SetInput(ICpuInputs.Irq, false);
        core.Interrupts.SetInput(ICpuInputs.Irq, true);
        Assert.Equal(2, waker.Wakes);
        Assert.Equal(VcpuExit.PageMissing, core.Run(1));
        Assert.True(core.Interrupts.TryPark());

        // A page that nobody has asked for wakes nobody.
        missing.Arrive(DataPage + 1, default);
        Assert.Equal(2, waker.Wakes);
        missing.Arrive(DataPage, default);
        Assert.Equal(3, waker.Wakes);
        core.Run(1);
        Assert.Equal((TranslatedCores.Code + 4, 0ul), (core.State->Pc, core.State->X[1]));
    }

    [Fact]
    public void Interrupt_is_taken_while_a_page_is_missing_and_the_access_is_made_after_it()
    {
        using TranslatedCores machine = Machine(1, jit: false, out MissingPages missing);
        VcpuCore core = machine.Cores[0];
        missing.Start(ArrivingRam.Bits(Pages, DataPage));
        machine.Write(TranslatedCores.Code, 0xF940_0001, Stay);
        machine.Write(TranslatedCores.Vectors + 0x280, 0xD69F_03E0); // eret
        core.State->X[0] = TranslatedCores.Kernel + Data;
        core.State->Pc = TranslatedCores.Code;
        Assert.Equal(VcpuExit.PageMissing, core.Run(1));
        core.State->Pstate &= ~Pstate.I;
        core.Interrupts.SetInput(ICpuInputs.Irq, true);
        Assert.True(core.Interrupts.HasWakeup);
        Assert.False(core.Interrupts.TryPark());
        Assert.Equal(VcpuExit.BudgetSpent, core.Run(0));
        core.Interrupts.SetInput(ICpuInputs.Irq, false);
        core.Run(1);
        Assert.Equal(TranslatedCores.Code, core.State->ElrEl1);
        Assert.Equal(VcpuExit.PageMissing, core.Run(10));
        Assert.Equal(TranslatedCores.Code, core.State->Pc);
    }

    [Fact]
    public void Device_throws_before_a_byte_moves_and_fw_cfg_does_the_whole_transfer_again()
    {
        using TranslatedCores machine = Machine(1, jit: false, out MissingPages missing);
        PhysicalAddressSpace bus = machine.Cores[0].Bus;
        var device = new FwCfg(bus);
        byte[] item = [.. Enumerable.Range(1, 16).Select(i => (byte)i)];
        device.Offer(new FwCfgItems([], [new("etc/a", item)]));

        // Select the file and read 32 bytes of it to the end of one page and the beginning of the next.
        byte[] descriptor = [0, 0x20, 0, 0x0A, 0, 0, 0, 32, .. BitConverter.GetBytes(Data + Page + Page - 8).Reverse()];
        byte[] page = new byte[Page];
        descriptor.CopyTo(page, 16);
        missing.Start(ArrivingRam.Bits(Pages, DataPage, DataPage + 1, DataPage + 2));
        device.Write(0x10, 4, System.Buffers.Binary.BinaryPrimitives.ReverseEndianness((uint)((Data + 16) >> 32)));
        for (int i = 0; i < 3; i++)
        {
            ulong low = System.Buffers.Binary.BinaryPrimitives.ReverseEndianness((uint)(Data + 16));
            var thrown = Assert.Throws<MissingPageException>(() => device.Write(0x14, 4, low));
            Assert.Equal(DataPage + i, (int)((thrown.Address - TranslatedCores.Physical) / Page));
            Assert.True(missing.Requests.TryRead(out int requested));
            Assert.Equal(DataPage + i, requested);
            missing.Arrive(requested, i == 0 ? page : default);
        }

        device.Write(0x14, 4, System.Buffers.Binary.BinaryPrimitives.ReverseEndianness((uint)(Data + 16)));
        byte[] copied = new byte[32];
        Assert.True(bus.TryRead(Data + Page + Page - 8, copied));
        Assert.Equal([.. item, .. new byte[16]], copied);
        Assert.True(bus.TryRead(Data + 16, copied.AsSpan(0, 4)));
        Assert.Equal(0u, BitConverter.ToUInt32(copied));
    }

    [Fact]
    public void Thread_of_a_device_waits_until_its_page_arrives()
    {
        using TranslatedCores machine = Machine(1, jit: false, out MissingPages missing);
        PhysicalAddressSpace bus = machine.Cores[0].Bus;
        missing.Start(ArrivingRam.Bits(Pages, DataPage, DataPage + 1));
        int attempts = 0;
        byte[] read = new byte[8];
        var device = new Thread(() =>
        {
            while (true)
            {
                try
                {
                    attempts++;
                    bus.TryRead(Data + Page, read);
                    return;
                }
                catch (MissingPageException e)
                {
                    e.Await(Patience.Limit);
                }
            }
        });
        device.Start();
        int requested = -1;
        Assert.True(SpinWait.SpinUntil(() => missing.Requests.TryRead(out requested), Patience.Limit));
        Assert.Equal(DataPage + 1, requested);

        // A page that nobody waits for wakes nobody.
        missing.Arrive(DataPage, default);
        Assert.True(device.IsAlive);
        missing.Arrive(DataPage + 1, [.. Enumerable.Repeat((byte)7, (int)Page)]);
        Assert.True(device.Join(Patience.Limit));
        Assert.Equal((2, 7), (attempts, read[0]));
    }

    [Fact]
    public void Monitor_reads_up_to_a_missing_page_and_asks_for_it()
    {
        using TranslatedCores machine = Machine(1, jit: false, out MissingPages missing);
        missing.Start(ArrivingRam.Bits(Pages, DataPage + 1));
        byte[] bytes = new byte[64];
        Assert.Equal(24, machine.Cores[0].Bus.Peek(new GuestPhysicalAddress(Data + Page - 24), bytes));
        Assert.True(missing.Requests.TryRead(out int requested));
        Assert.Equal(DataPage + 1, requested);
        Assert.Equal(24, machine.Cores[0].Peek(new GuestVirtualAddress(TranslatedCores.Kernel + Data + Page - 24), bytes));
        missing.Arrive(requested, default);
        Assert.Equal(64, machine.Cores[0].Peek(new GuestVirtualAddress(TranslatedCores.Kernel + Data + Page - 24), bytes));
    }

    [Fact]
    public void Lost_requests_are_made_again_and_what_is_given_up_comes_no_more()
    {
        using TranslatedCores machine = Machine(1, jit: false, out MissingPages missing);
        ulong[] bits = ArrivingRam.Bits(Pages, DataPage, DataPage + 1, DataPage + 70);
        missing.Start(bits);
        Assert.Equal(bits, missing.ToBits());
        Assert.Equal(3, missing.Count);
        byte[] bytes = new byte[8];
        Assert.Throws<MissingPageException>(() => machine.Cores[0].Bus.TryRead(Data + (70 * Page), bytes));
        Assert.True(missing.Requests.TryRead(out _));
        Assert.False(missing.Requests.TryRead(out _));
        missing.AskAgain();
        Assert.True(missing.Requests.TryRead(out int again));
        Assert.Equal(DataPage + 70, again);

        machine.Memory.Clear();
        Assert.Equal(0, missing.Count);
        byte[] late = new byte[Page];
        late.AsSpan().Fill(7);
        Assert.False(missing.Arrive(DataPage, late));
        Assert.True(machine.Cores[0].Bus.TryRead(Data, bytes));
        Assert.Equal(new byte[8], bytes);
        Assert.True(missing.Requests.Completion.IsCompleted);
        Assert.Throws<ArgumentException>(() => missing.Start(new ulong[3]));
    }

    // X0 the region, X1 the mask of offsets in it, X2 a random number, X3 and X4 how the next one is made, X10 rounds to go.
    private static readonly uint[] s_writer =
    [
        0x9B03_1042, // madd x2, x2, x3, x4
        0xD354_FC45, 0x8A01_00A5, 0x8B05_0006, 0xF900_00C2, // str x2, [x0 + random]: may cross pages
        0x927C_ECC7, 0xC85F_7CE8, 0x9100_0508, 0xC809_7CE8, // ldxr, add, stxr, at the 16 bytes of it
        0xD361_FC45, 0x8A01_00A5, 0x8B05_0007, 0x927C_ECE7, 0xF822_00E8, // ldadd x2, x8, [another]
        0xD369_FC45, 0x8A01_00A5, 0x8B05_0007, 0xD50B_7427, // dc zva, another
        0xD35B_FC45, 0x8A01_00A5, 0x8B05_0007, 0x3DC0_00E1, 0x3D80_00E1, // ldr q1, str q1, at another
        0xD100_054A, 0xB5FF_FD0A, 0xD503_207F, 0x17FF_FFFF, // sub x10, x10, #1; cbnz x10 to the start; wfi; b to the wfi
    ];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Vcpus_whose_RAM_arrives_while_they_run_end_as_with_all_of_it(bool jit)
    {
        const int Writers = 3;
        const ulong Region = 128 * Page;
        using TranslatedCores expected = Prepared(out _);
        Array.ForEach(expected.Cores, core => RunToEnd(core));
        for (int seed = 1; seed <= 4; seed++)
        {
            using TranslatedCores machine = Prepared(out MissingPages missing);
            using var arriving = new ArrivingRam(
                machine.Memory, missing, seed, burst: 4, () => Array.ForEach(machine.Cores, core => core.RequestExit()));
            Thread[] threads = [.. machine.Cores.Select(core => new Thread(() => RunToEnd(core)))];
            arriving.Begin();
            Array.ForEach(threads, t => t.Start());
            Array.ForEach(threads, t => t.Join());
            Assert.True(arriving.Requested > 100, $"{arriving.Requested} pages were asked for");
            arriving.Join();
            for (int i = 0; i < Writers; i++)
            {
                Assert.Equal(State(expected.Cores[i]), State(machine.Cores[i]));
            }

            Assert.True(
                machine.Memory.Span(machine.Memory.Start, (int)machine.Memory.Size)
                    .SequenceEqual(expected.Memory.Span(expected.Memory.Start, (int)expected.Memory.Size)), "the memories differ");
        }

        TranslatedCores Prepared(out MissingPages missing)
        {
            TranslatedCores machine = Machine(Writers, jit, out missing);
            machine.Write(TranslatedCores.Code, s_writer);
            for (int i = 0; i < Writers; i++)
            {
                // A store may reach a little behind its region.
                CpuState* s = machine.Cores[i].State;
                s->X[0] = TranslatedCores.Kernel + Data + ((ulong)i * (Region + Page));
                s->X[1] = Region - 1;
                s->X[2] = (ulong)(20261128 + i);
                s->X[3] = 6364136223846793005;
                s->X[4] = 1442695040888963407;
                s->X[10] = 20_000;
            }

            return machine;
        }

        static void RunToEnd(VcpuCore core)
        {
            var waker = new CountingWaker();
            core.Interrupts.SetWaker(waker);
            VcpuExit exit;
            do
            {
                exit = core.Run(5_000);
                if (exit == VcpuExit.PageMissing && core.Interrupts.TryPark())
                {
                    Assert.True(waker.Event.WaitOne(Patience.Limit), "a vCPU was not woken");
                }
            }
            while (exit != VcpuExit.WaitForInterrupt);
        }
    }

    private sealed class CountingWaker : IVcpuWaker
    {
        public AutoResetEvent Event { get; } = new(false);

        public int Wakes { get; private set; }

        public void Wake()
        {
            Wakes++;
            Event.Set();
        }
    }
}
