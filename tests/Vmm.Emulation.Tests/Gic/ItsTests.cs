using System.Buffers.Binary;
using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Interrupts.GicV3;
using Vmm.Emulation.Memory;
using Vmm.Emulation.State;
using Vmm.Emulation.Tests.Devices;
using Vmm.Emulation.Tests.Jit;

namespace Vmm.Emulation.Tests.Gic;

/// <summary>
/// The ITS beside what <c>its.c</c> and <c>its_random.c</c> compare with QEMU: saved state, messages of devices, pages that arrive late,
/// and guests that mean no good.
/// </summary>
public sealed class ItsTests : DeviceFixture
{
    private const uint Lpi = 8200;
    private const uint Requester = 0x0108;

    internal override Subject Create()
    {
        var machine = new Machine();
        return new Subject(machine.Its, [machine.Its], [0x1_0100], machine.Its.Reset, machine);
    }

    internal override void Disturb(Subject subject) => ((Machine)subject.Device).Start();

    [Fact]
    public void Its_message_of_a_device_is_an_interrupt_of_the_CPU_of_its_collection()
    {
        using var machine = new Machine();
        machine.Start();
        machine.Its.Send(machine.Message(3), Requester + 1);
        machine.Its.Send(machine.Message(4), Requester);
        Assert.Equal(0, machine.Inputs(1));
        machine.Its.Send(machine.Message(3), Requester);
        Assert.Equal((0, ICpuInputs.Irq), (machine.Inputs(0), machine.Inputs(1)));
        Assert.Equal(Lpi, machine.Gic.CpuInterfaces[1].Acknowledge(group1: true));
        Assert.Equal(0, machine.Inputs(1));
    }

    [Fact]
    public void Its_message_to_another_address_is_a_write_to_RAM_or_to_nothing()
    {
        using var machine = new Machine();
        machine.Its.Send(new MsiMessage(Machine.Ram + 0x1234, 0xCAFE_F00D), Requester);
        machine.Its.Send(new MsiMessage(0x10, 0xCAFE_F00D), Requester);
        Assert.Equal(0xCAFE_F00Du, (uint)machine.Read(Machine.Ram + 0x1234));
    }

    [Fact]
    public void Its_loaded_with_what_is_pending_interrupts_as_the_saved_one()
    {
        using var saved = new Machine();
        saved.Start();
        saved.Its.Send(saved.Message(3), Requester);
        using var loaded = new Machine();
        using var stream = new MemoryStream();
        Archive.Save(stream, [saved.Gic, saved.Its]);
        saved.CopyRam(loaded);
        stream.Position = 0;
        Archive.Load(stream, [loaded.Gic, loaded.Its]);
        Assert.Equal(ICpuInputs.Irq, loaded.Inputs(1));
        Assert.Equal(Lpi, loaded.Gic.CpuInterfaces[1].Acknowledge(group1: true));
        loaded.Gic.CpuInterfaces[1].EndOfInterrupt(Lpi, group1: true);
        loaded.Its.Send(loaded.Message(3), Requester);
        Assert.Equal(ICpuInputs.Irq, loaded.Inputs(1));
    }

    /// <summary>After a postcopy migration: tables of a translation that was not used before are not there yet.</summary>
    [Fact]
    public void Its_message_whose_table_has_not_arrived_interrupts_when_it_has()
    {
        using var machine = new Machine();
        machine.Start();

        // Off and on: nothing of the tables is known.
        machine.Its.Write(ItsSpec.GITS_CTLR, 4, 0);
        machine.Its.Write(ItsSpec.GITS_CTLR, 4, 1);
        int pages = Machine.RamSize / 4096;
        var missing = new MissingPages(machine.Memory, () => { }, machine.Its.RetryMessages);
        ulong[] bits = new ulong[pages / 64];
        Array.Fill(bits, ulong.MaxValue);
        byte[][] contents = [.. Enumerable.Range(0, pages).Select(p => machine.Page(p))];
        missing.Start(bits);
        machine.Its.Send(machine.Message(3), Requester);
        Assert.Equal(0, machine.Inputs(1));
        int arrived = 0;
        while (machine.Inputs(1) == 0 && missing.Requests.TryRead(out int page))
        {
            missing.Arrive(page, contents[page]);
            arrived++;
        }

        Assert.Equal(ICpuInputs.Irq, machine.Inputs(1));
        Assert.InRange(arrived, 1, 4);
    }

    [Fact]
    public void Fuzz_Its_under_random_registers_commands_and_tables_stays_within_RAM_and_ends()
    {
        var run = new FuzzRun(programs: 20);
        foreach (int program in run.Programs())
        {
            using var machine = new Machine();
            machine.Start();
            Misuse(machine, new Random(run.SeedOf(program)));
        }
    }

    private static void Misuse(Machine machine, Random random)
    {
        ulong[] registers =
        [
            ItsSpec.GITS_CTLR, ItsSpec.GITS_CBASER, ItsSpec.GITS_CWRITER, ItsSpec.GITS_CREADR, ItsSpec.GITS_BASER, ItsSpec.GITS_BASER + 8,
            ItsSpec.GITS_TRANSLATER,
        ];
        for (int i = 0; i < 1_000; i++)
        {
            switch (random.Next(8))
            {
                case 0:
                    machine.Its.Write(
                        registers[random.Next(registers.Length)], random.Next(2) == 0 ? 4 : 8, Value(random) & ~(ulong)random.Next(256));
                    break;
                case 1:
                    ulong register = random.Next(4) == 0 ? GicSpec.GICR_CTLR
                        : random.Next(2) == 0 ? GicSpec.GICR_PROPBASER : GicSpec.GICR_PENDBASER;
                    machine.Gic.RedistributorRegions[0].Write(
                        ((ulong)random.Next(2) * GicSpec.RedistributorStride) + register, 8, Value(random));
                    break;
                case 2:
                    machine.Store(Machine.Ram + ((ulong)random.Next(Machine.RamSize / 8) * 8), Value(random));
                    break;
                case 3:
                    machine.Its.Send(machine.Message((uint)random.Next(40)), Requester + (uint)random.Next(3));
                    break;
                case 4:
                    ulong id = machine.Gic.CpuInterfaces[random.Next(2)].Acknowledge(group1: true);
                    machine.Gic.CpuInterfaces[random.Next(2)].EndOfInterrupt(id, group1: true);
                    break;
                case 5 when random.Next(16) == 0:
                    machine.Start();
                    break;
                default:
                    machine.Command(
                        (uint)random.Next(16) | ((ulong)(uint)(random.Next(3) + (int)Requester) << 32),
                        random.Next(3) == 0 ? Value(random) : (uint)random.Next(40) | ((ulong)(uint)random.Next(8190, 8300) << 32),
                        random.Next(3) == 0 ? Value(random)
                            : (uint)random.Next(4) | ((ulong)(uint)random.Next(4) << 16) | ((ulong)(uint)random.Next(2) << 63),
                        Value(random));
                    break;
            }
        }
    }

    private static ulong Value(Random random) => random.Next(4) switch
    {
        0 => (ulong)random.NextInt64(long.MinValue, long.MaxValue),
        1 => Machine.Ram + (ulong)random.Next(Machine.RamSize),
        2 => (1ul << 63) | (Machine.Ram + ((ulong)random.Next(Machine.RamSize) & ~0xFFFul)) | (uint)random.Next(16),
        _ => (ulong)random.Next(0x1_0000),
    };

    /// <summary>A GIC of two CPUs with an ITS and RAM, and the commands that a driver gives.</summary>
    private sealed class Machine : IDisposable
    {
        public const ulong Ram = 0x4000_0000;
        public const int RamSize = 0x80_0000;

        private const ulong Properties = Ram;
        private const ulong Pending = Ram + 0x1_0000;
        private const ulong Queue = Ram + 0x3_0000;
        private const ulong Devices = Ram + 0x4_0000;
        private const ulong Collections = Ram + 0x5_0000;
        private const ulong Events = Ram + 0x6_0000;

        private readonly PhysicalAddressSpace _bus = new();
        private readonly CpuInputs[] _inputs = [new(), new()];

        public Machine()
        {
            Memory = new GuestMemory(new GuestPhysicalAddress(Ram), RamSize);
            _bus.AddMemory(Memory);
            Gic = new Emulation.Interrupts.GicV3.Gic(2) { LpiMemory = _bus };
            Its = new Its(Gic, _bus) { Address = new GuestPhysicalAddress(0x0808_0000) };
            for (int cpu = 0; cpu < 2; cpu++)
            {
                Gic.CpuInterfaces[cpu].Connect(_inputs[cpu]);
                Gic.CpuInterfaces[cpu].SetAccessible(true);
            }
        }

        public GuestMemory Memory { get; }

        public Emulation.Interrupts.GicV3.Gic Gic { get; }

        public Its Its { get; }

        public int Inputs(int cpu) => _inputs[cpu].Inputs;

        public MsiMessage Message(uint evt) => new(Its.Address.Value + ItsSpec.GITS_TRANSLATER, evt);

        /// <summary>Event 3 of the device is an LPI of CPU 1.</summary>
        public void Start()
        {
            Gic.Distributor.Write(GicSpec.GICD_CTLR, 4, GicSpec.EnableGroup1);
            _bus.TryWrite(Properties + Lpi - 8192, [0xA1]);
            for (ulong cpu = 0; cpu < 2; cpu++)
            {
                ulong redistributor = cpu * GicSpec.RedistributorStride;
                Gic.RedistributorRegions[0].Write(redistributor + GicSpec.GICR_CTLR, 4, 0);
                Gic.RedistributorRegions[0].Write(redistributor + GicSpec.GICR_PROPBASER, 8, Properties | 13);
                Gic.RedistributorRegions[0].Write(redistributor + GicSpec.GICR_PENDBASER, 8, (Pending + (cpu * 0x1_0000)) | (1ul << 62));
                Gic.RedistributorRegions[0].Write(redistributor + GicSpec.GICR_CTLR, 4, 1);
                Gic.CpuInterfaces[cpu].PriorityMaskRegister = 0xF8;
                Gic.CpuInterfaces[cpu].Group1Enable = 1;
            }

            Its.Write(ItsSpec.GITS_CTLR, 4, 0);
            Its.Write(ItsSpec.GITS_BASER, 8, Devices | ItsSpec.Valid | 0x200);
            Its.Write(ItsSpec.GITS_BASER + 8, 8, Collections | ItsSpec.Valid | 0x200);
            Its.Write(ItsSpec.GITS_CBASER, 8, Queue | ItsSpec.Valid | 15);
            Its.Write(ItsSpec.GITS_CWRITER, 8, 0);
            Its.Write(ItsSpec.GITS_CTLR, 4, 1);
            Command(ItsSpec.MAPC, 0, (1ul << 16) | ItsSpec.Valid, 0);
            Command(ItsSpec.MAPD | ((ulong)Requester << 32), 4, Events | ItsSpec.Valid, 0);
            Command(ItsSpec.MAPTI | ((ulong)Requester << 32), 3 | ((ulong)Lpi << 32), 0, 0);
            Command(ItsSpec.INVALL, 0, 0, 0);
        }

        public void Command(params ReadOnlySpan<ulong> words)
        {
            ulong at = Its.Read(ItsSpec.GITS_CWRITER, 8);
            for (int i = 0; i < words.Length; i++)
            {
                Store(Queue + at + ((ulong)i * 8), words[i]);
            }

            Its.Write(ItsSpec.GITS_CWRITER, 8, (at + 32) & 0xFFFF);
        }

        public void Store(ulong address, ulong value)
        {
            Span<byte> bytes = stackalloc byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
            _bus.TryWrite(address, bytes);
        }

        public ulong Read(ulong address)
        {
            Span<byte> bytes = stackalloc byte[8];
            Assert.True(_bus.TryRead(address, bytes));
            return BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        }

        public byte[] Page(int page) => Memory.Span(Memory.Start + ((ulong)page * 4096), 4096).ToArray();

        public void CopyRam(Machine to) => Memory.Span(Memory.Start, RamSize).CopyTo(to.Memory.Span(to.Memory.Start, RamSize));

        public void Dispose() => Memory.Dispose();
    }

    private sealed class CpuInputs : ICpuInputs
    {
        public int Inputs { get; private set; }

        public void SetInput(int input, bool level) => Inputs = level ? Inputs | input : Inputs & ~input;
    }
}
