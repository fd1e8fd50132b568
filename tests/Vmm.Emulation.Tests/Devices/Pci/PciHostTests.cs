using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.State;
using Vmm.Emulation.Tests.Jit;
using static Vmm.Emulation.Devices.Pci.PciSpec;

namespace Vmm.Emulation.Tests.Devices.Pci;

public sealed class PciHostTests : DeviceFixture
{
    private readonly PciHarness _pci = new();

    // The first function alone: 16 MiB would be too many to read each.
    internal override Subject Create()
    {
        var pci = new PciHarness();
        return new Subject(pci.Host.StateUnits[0], [pci.Host.Regions[0].Registers], [ConfigurationSize], pci.Host.Reset, pci);
    }

    internal override void Disturb(Subject subject)
    {
        var pci = (PciHarness)subject.Device;
        pci.Write(PciHarness.At(0, 0, Command), CommandMaster | CommandMemory, 2);
        pci.Write(PciHarness.At(0, 0, InterruptLine), 0x5A, 1);
    }

    [Fact]
    public void PciHost_without_functions_has_its_own_and_nothing_else()
    {
        Assert.Equal(0x0008_1B36u, _pci.Read(PciHarness.At(0, 0, VendorId)));
        Assert.Equal(0x0600_0000u, _pci.Read(PciHarness.At(0, 0, RevisionId)));
        Assert.Equal(0x1100_1AF4u, _pci.Read(PciHarness.At(0, 0, SubsystemVendorId)));
        Assert.Equal(uint.MaxValue, _pci.Read(PciHarness.At(0, 1, VendorId)));
        Assert.Equal(uint.MaxValue, _pci.Read(PciHarness.At(0, 0, VendorId, function: 1)));
        Assert.Equal(uint.MaxValue, _pci.Read(PciHarness.At(1, 0, VendorId)));
        Assert.Equal(ushort.MaxValue, _pci.Read(PciHarness.At(0, 1, VendorId), 2));
        Assert.Equal(uint.MaxValue, _pci.Read(PciHarness.At(0, 0, FirstExtendedCapability)));
        Assert.Equal(uint.MaxValue, _pci.Read(PciHarness.Memory));
        Assert.Equal(byte.MaxValue, _pci.Read(PciHarness.Io, 1));
        _pci.Write(PciHarness.High, 1);
        _pci.Write(PciHarness.At(3, 7, Command), uint.MaxValue);
    }

    [Theory]
    [InlineData(PciBarKind.Memory, 0x1000ul, 0xFFFF_F000u)]
    [InlineData(PciBarKind.Io, 0x20ul, 0xFFFF_FFE1u)]
    public void PciHost_guest_sizes_and_places_a_register(PciBarKind kind, ulong size, uint sized)
    {
        var scratch = new Scratch();
        _pci.Host.Root.Add(new TestFunction("a", 1, new PciBar(2, kind, size, scratch)), new PciSlot(2, 0));
        ulong bar = PciHarness.At(0, 2, BaseAddress0 + 8);
        ulong window = kind == PciBarKind.Io ? PciHarness.Io : PciHarness.Memory;
        ulong space = kind == PciBarKind.Io ? 0 : PciHarness.Memory;
        Assert.Equal((uint)kind, _pci.Read(bar));
        _pci.Write(bar, uint.MaxValue);
        Assert.Equal(sized, _pci.Read(bar));

        // Placed, but not switched on.
        _pci.Write(bar, space + (2 * size));
        _pci.Write(window + (2 * size) + 8, 0x11);
        Assert.Equal(uint.MaxValue, _pci.Read(window + (2 * size)));
        Assert.Equal(0u, scratch.Value);

        _pci.Write(PciHarness.At(0, 2, Command), kind == PciBarKind.Io ? CommandIo : CommandMemory, 2);
        _pci.Write(window + (2 * size) + 8, 0x11);
        Assert.Equal((8ul, 0x11ul), (scratch.Offset, scratch.Value));
        Assert.Equal(0x11ul + size - 4, _pci.Read(window + (3 * size) - 4));
        Assert.Equal(uint.MaxValue, _pci.Read(window + (3 * size)));
        Assert.Equal(ulong.MaxValue, _pci.Read(window + (3 * size) - 4, 8));
        Assert.Equal(uint.MaxValue, _pci.Read(window + size));

        // It moves.
        _pci.Write(bar, space + (5 * size));
        Assert.Equal(uint.MaxValue, _pci.Read(window + (2 * size)));
        Assert.Equal(0x11u, _pci.Read(window + (5 * size)));
    }

    [Fact]
    public void PciHost_a_register_of_64_bits_is_placed_by_both_halves()
    {
        var scratch = new Scratch();
        _pci.Host.Root.Add(new TestFunction("a", 1, new PciBar(4, PciBarKind.Prefetchable64, 0x4000, scratch)), new PciSlot(1, 0));
        ulong bar = PciHarness.At(0, 1, BaseAddress0 + 16);
        _pci.Write(bar, uint.MaxValue);
        _pci.Write(bar + 4, uint.MaxValue);
        Assert.Equal(0xFFFF_C00Cul, _pci.Read(bar));
        Assert.Equal(uint.MaxValue, _pci.Read(bar + 4));
        Assert.Equal(0xFFFF_FFFF_FFFF_C00Cul, _pci.Read(bar, 8));
        _pci.Write(bar, 0x8000);
        _pci.Write(bar + 4, 0x80);
        _pci.Write(PciHarness.At(0, 1, Command), CommandMemory, 2);
        _pci.Write(PciHarness.High + 0x8010, 0x1234_5678_9ABC_DEF0, 8);
        Assert.Equal((0x10ul, 0x1234_5678_9ABC_DEF0ul), (scratch.Offset, scratch.Value));
    }

    [Fact]
    public void PciHost_of_two_registers_at_one_address_the_first_function_answers()
    {
        var first = new Scratch();
        var second = new Scratch();
        _pci.Host.Root.Add(new TestFunction("b", 1, new PciBar(0, PciBarKind.Memory, 0x2000, second)), new PciSlot(6, 0));
        _pci.Host.Root.Add(new TestFunction("a", 1, new PciBar(0, PciBarKind.Memory, 0x1000, first)), new PciSlot(5, 0));
        foreach (int device in (int[])[6, 5])
        {
            _pci.Write(PciHarness.At(0, device, BaseAddress0), PciHarness.Memory);
            _pci.Write(PciHarness.At(0, device, Command), CommandMemory, 2);
        }

        _pci.Write(PciHarness.Memory, 1);
        Assert.Equal((1ul, 0ul), (first.Value, second.Value));
        _pci.Write(PciHarness.At(0, 5, Command), 0, 2);
        _pci.Write(PciHarness.Memory, 2);
        Assert.Equal((1ul, 2ul), (first.Value, second.Value));
    }

    [Fact]
    public void PciHost_bridge_passes_on_what_is_in_its_windows_and_its_numbers()
    {
        var scratch = new Scratch();
        var port = new Scratch();
        var bridge = new TestBridge("rp", _pci.Host);
        _pci.Host.Root.Add(bridge, new PciSlot(3, 0));
        bridge.Secondary.Add(
            new TestFunction("a", 1, new PciBar(0, PciBarKind.Memory, 0x1000, scratch), new PciBar(1, PciBarKind.Io, 0x100, port)),
            new PciSlot(0, 0));
        Assert.Equal(uint.MaxValue, _pci.Read(PciHarness.At(1, 0, VendorId)));
        _pci.Write(PciHarness.At(0, 3, PrimaryBus), 0x05_05_00);
        Assert.Equal(0x5678_1234u, _pci.Read(PciHarness.At(5, 0, VendorId)));
        Assert.Equal(uint.MaxValue, _pci.Read(PciHarness.At(5, 1, VendorId)));
        Assert.Equal(uint.MaxValue, _pci.Read(PciHarness.At(4, 0, VendorId)));
        Assert.Equal(uint.MaxValue, _pci.Read(PciHarness.At(6, 0, VendorId)));

        _pci.Write(PciHarness.At(5, 0, BaseAddress0), PciHarness.Memory + 0x20_0000);
        _pci.Write(PciHarness.At(5, 0, BaseAddress0 + 4), 0x2000);
        _pci.Write(PciHarness.At(5, 0, Command), CommandMemory | CommandIo, 2);
        Assert.Equal(uint.MaxValue, _pci.Read(PciHarness.Memory + 0x20_0000));
        ulong window = (PciHarness.Memory + 0x20_0000) >> 16;
        _pci.Write(PciHarness.At(0, 3, MemoryBase), window | (window << 16));
        _pci.Write(PciHarness.At(0, 3, IoBase), 0x2020, 2);
        Assert.Equal(uint.MaxValue, _pci.Read(PciHarness.Memory + 0x20_0000));
        _pci.Write(PciHarness.At(0, 3, Command), CommandMemory | CommandIo, 2);
        _pci.Write(PciHarness.Memory + 0x20_0000, 7);
        _pci.Write(PciHarness.Io + 0x2004, 9, 2);
        Assert.Equal((7ul, 9ul, 4ul), (scratch.Value, port.Value, port.Offset));

        // One megabyte further the window is closed.
        _pci.Write(PciHarness.At(5, 0, BaseAddress0), PciHarness.Memory + 0x30_0000);
        Assert.Equal(uint.MaxValue, _pci.Read(PciHarness.Memory + 0x30_0000));
        _pci.Write(PciHarness.At(0, 3, PrefetchableBase), (window + 0x10) | ((window + 0x10) << 16));
        Assert.Equal(7u, _pci.Read(PciHarness.Memory + 0x30_0000));

        // A reset of the bus behind it.
        _pci.Write(PciHarness.At(0, 3, BridgeControl), BridgeReset, 2);
        Assert.Equal(0u, _pci.Read(PciHarness.At(5, 0, BaseAddress0)));
        Assert.Equal(0u, _pci.Read(PciHarness.At(5, 0, Command), 2));
    }

    [Fact]
    public void PciHost_bridges_with_numbers_in_a_circle_lead_nowhere()
    {
        var outer = new TestBridge("outer", _pci.Host);
        var inner = new TestBridge("inner", _pci.Host);
        _pci.Host.Root.Add(outer, new PciSlot(1, 0));
        outer.Secondary.Add(inner, new PciSlot(0, 0));
        inner.Secondary.Add(new TestFunction("a"), new PciSlot(0, 0));
        _pci.Write(PciHarness.At(0, 1, PrimaryBus), 0x0F_02_00);
        _pci.Write(PciHarness.At(2, 0, PrimaryBus), 0x0F_02_02);
        Assert.Equal(0x9ABC_1234u, _pci.Read(PciHarness.At(2, 0, VendorId)));
        Assert.Equal(uint.MaxValue, _pci.Read(PciHarness.At(3, 0, VendorId)));
        _pci.Write(PciHarness.At(2, 0, PrimaryBus), 0x0F_01_02);
        Assert.Equal(uint.MaxValue, _pci.Read(PciHarness.At(3, 0, VendorId)));
        _pci.Write(PciHarness.At(2, 0, PrimaryBus), 0x03_03_02);
        Assert.Equal(0x5678_1234u, _pci.Read(PciHarness.At(3, 0, VendorId)));
    }

    [Fact]
    public void PciHost_pins_turn_with_device_and_bridge_and_are_shared()
    {
        var bridge = new TestBridge("rp", _pci.Host);
        var behind = new TestFunction("behind", pin: 2);
        var direct = new TestFunction("direct", pin: 1);
        _pci.Host.Root.Add(bridge, new PciSlot(2, 0));
        bridge.Secondary.Add(behind, new PciSlot(0, 0));
        _pci.Host.Root.Add(direct, new PciSlot(3, 0));
        behind.SetInterrupt(true);
        Assert.Equal([3], _pci.Pins);
        direct.SetInterrupt(true);
        Assert.Equal([3], _pci.Pins);
        Assert.Equal(StatusInterrupt, _pci.Read(PciHarness.At(0, 3, Status), 2) & StatusInterrupt);
        behind.SetInterrupt(false);
        Assert.Equal([3], _pci.Pins);
        _pci.Write(PciHarness.At(0, 3, Command), CommandInterruptDisable, 2);
        Assert.Empty(_pci.Pins);
        Assert.Equal(StatusInterrupt, _pci.Read(PciHarness.At(0, 3, Status), 2) & StatusInterrupt);
        _pci.Write(PciHarness.At(0, 3, Command), 0, 2);
        Assert.Equal([3], _pci.Pins);
        direct.Reset();
        Assert.Empty(_pci.Pins);
    }

    [Fact]
    public void PciHost_functions_loaded_decode_and_interrupt_as_saved()
    {
        (PciHarness saved, TestFunction from) = (new PciHarness(), Function());
        saved.Host.Root.Add(from, new PciSlot(2, 0));
        saved.Write(PciHarness.At(0, 2, BaseAddress0), PciHarness.Memory);
        saved.Write(PciHarness.At(0, 2, Command), CommandMemory, 2);
        from.SetInterrupt(true);
        byte[] bytes = Save(new Subject(from, [], [], from.Reset, from));
        TestFunction to = Function();
        _pci.Host.Root.Add(to, new PciSlot(2, 0));
        Archive.Load(new MemoryStream(bytes), [to]);
        Assert.Equal([2], _pci.Pins);
        Assert.NotEqual(uint.MaxValue, _pci.Read(PciHarness.Memory));
        Assert.Equal(bytes, Save(new Subject(to, [], [], to.Reset, to)));

        static TestFunction Function() => new("a", 1, new PciBar(0, PciBarKind.Memory, 0x1000, new Scratch()));
    }

    [Fact]
    public void PciHost_place_that_is_taken_is_refused()
    {
        _pci.Host.Root.Add(new TestFunction("a"), new PciSlot(2, 0));
        var refused = Assert.Throws<InvalidDataException>(() => _pci.Host.Root.Add(new TestFunction("b"), new PciSlot(2, 0)));
        Assert.Equal("PCI: slot 2 function 0 not available for b, in use by a", refused.Message);
    }

    [Theory]
    [InlineData("4", 4, 0)]
    [InlineData("0x1f.0x7", 31, 7)]
    [InlineData("a.1", 10, 1)]
    public void PciSlot_is_read_as_QEMU_writes_it(string text, int device, int function)
    {
        Assert.True(PciSlot.TryParse(text, out PciSlot slot));
        Assert.Equal(new PciSlot(device, function), slot);
    }

    [Theory]
    [InlineData("")]
    [InlineData(null)]
    [InlineData("32")]
    [InlineData("1.8")]
    [InlineData("1.1.1")]
    [InlineData("-1")]
    [InlineData("ffffffff")]
    public void PciSlot_that_there_is_not_is_refused(string? text) => Assert.False(PciSlot.TryParse(text, out _));

    /// <summary>
    /// Random accesses to configuration space and all windows, with bridges whose numbers and windows change all the time.
    /// </summary>
    [Fact]
    public void Fuzz_PciHost_under_garbage_throws_nothing_and_ends_each_access()
    {
        var run = new FuzzRun(programs: 20);
        foreach (int program in run.Programs())
        {
            Misuse(new Random(run.SeedOf(program)));
        }
    }

    private static void Misuse(Random random)
    {
        var pci = new PciHarness();
        TestBridge[] bridges = [.. Enumerable.Range(0, 4).Select(i => new TestBridge($"b{i}", pci.Host))];
        pci.Host.Root.Add(bridges[0], new PciSlot(1, 0));
        pci.Host.Root.Add(bridges[1], new PciSlot(2, 0));
        bridges[0].Secondary.Add(bridges[2], new PciSlot(0, 0));
        bridges[2].Secondary.Add(bridges[3], new PciSlot(0, 0));
        foreach (PciBus bus in bridges.Skip(1).Select(b => b.Secondary))
        {
            bus.Add(
                new TestFunction(
                    $"f{bus.Name}",
                    1 + random.Next(4),
                    new PciBar(0, PciBarKind.Memory64, 0x1_0000, new Scratch()),
                    new PciBar(2, PciBarKind.Io, 16, new Scratch())),
                bus.FirstFree ?? new PciSlot(0, 1 + random.Next(7)));
        }

        ulong[] starts = [PciHarness.Ecam, PciHarness.Memory, PciHarness.Io, PciHarness.High];
        for (int i = 0; i < 2_500; i++)
        {
            // Mostly the headers of the first buses, where something is.
            int size = 1 << random.Next(4);
            int window = random.Next(3) == 0 ? random.Next(starts.Length) : 0;
            ulong offset = window == 0 && random.Next(8) > 0
                ? PciHarness.At(random.Next(5), random.Next(4), random.Next(0x48)) - PciHarness.Ecam
                : (ulong)random.NextInt64((long)pci.Host.Regions[window].Size - 8);
            ulong value = random.Next(3) switch
            {
                0 => (ulong)random.Next(8) * 0x0101_0101,
                1 => ((PciHarness.Memory >> 16) + (ulong)random.Next(64)) * 0x1_0001,
                _ => (ulong)random.NextInt64(long.MinValue, long.MaxValue),
            };
            Assert.True(pci.Bus.TryWrite(starts[window] + offset, size, value));
            Assert.True(pci.Bus.TryRead(starts[window] + offset, size, out ulong read));
            Assert.True(size == 8 || read >> (size * 8) == 0);
        }
    }
}
