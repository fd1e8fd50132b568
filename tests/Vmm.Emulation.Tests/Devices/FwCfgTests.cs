using System.Buffers.Binary;
using System.Text;
using Vmm.Emulation.Devices.FwCfg;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.Devices;

public sealed class FwCfgTests : DeviceFixture, IDisposable
{
    private const ulong Ram = 0x4000_0000;
    private const ulong RamSize = 1 << 20;
    private const uint Error = 1;
    private const uint DoRead = 2;
    private const uint DoSkip = 4;
    private const uint DoSelect = 8;
    private const uint DoWrite = 16;
    private const ulong Descriptor = Ram + 0x101;

    private readonly GuestMemory _ram = new(new GuestPhysicalAddress(Ram), RamSize);
    private readonly GuestMemory _flash = new(new GuestPhysicalAddress(0), 1 << 20, readOnly: true);
    private readonly PhysicalAddressSpace _bus = new();
    private readonly FwCfgItems _items = new(
        [new(FwCfgKey.CpuCount, new byte[] { 4, 0 })],
        [new("etc/b", Encoding.ASCII.GetBytes("second")), new("etc/a", new byte[] { 1, 2, 3 }), new("Z", default)]);

    public FwCfgTests()
    {
        _bus.AddMemory(_ram);
        _bus.AddMemory(_flash);
    }

    public void Dispose()
    {
        _ram.Dispose();
        _flash.Dispose();
    }

    internal override Subject Create()
    {
        var device = new FwCfg(_bus);
        device.Offer(_items);
        return new Subject(device, [device], [0x18], device.Reset, device);
    }

    internal override void Disturb(Subject subject)
    {
        subject.Frames[0].Write(8, 2, 0x1900);
        subject.Frames[0].Read(0, 2);
        subject.Frames[0].Write(0x10, 4, 1);
    }

    [Fact]
    public void FwCfg_signature_and_features_say_that_there_is_DMA()
    {
        FwCfg device = Device();
        Assert.Equal("QEMU", ReadText(device, 0, 4));
        Select(device, 1);
        Assert.Equal(3ul, device.Read(0, 4));
        Assert.Equal(BitConverter.ToUInt64("QEMU CFG"u8), device.Read(0x10, 8));
        Assert.Equal(BitConverter.ToUInt32(" CFG"u8), device.Read(0x14, 4));
    }

    [Fact]
    public void FwCfg_files_are_sorted_by_name_and_numbered_so()
    {
        FwCfg device = Device();
        byte[] directory = Read(device, 0x19, 4 + (3 * 64));
        Assert.Equal(3, BinaryPrimitives.ReadInt32BigEndian(directory));
        string[] files = [.. Enumerable.Range(0, 3).Select(i => directory.AsMemory(4 + (i * 64), 64)).Select(e =>
            $"{BinaryPrimitives.ReadInt32BigEndian(e.Span)} {BinaryPrimitives.ReadUInt16BigEndian(e.Span[4..]):x} "
            + $"{Encoding.ASCII.GetString(e.Span[8..]).TrimEnd('\0')}")];
        Assert.Equal(["0 20 Z", "3 21 etc/a", "6 22 etc/b"], files);
        Assert.Equal("second", ReadText(device, 0x22, 6));
    }

    [Fact]
    public void FwCfg_data_register_goes_on_and_ends_in_zeros()
    {
        FwCfg device = Device();
        Select(device, 0x21);
        Assert.Equal(1ul, device.Read(0, 1));
        Assert.Equal(0x0302ul, device.Read(0, 8));
        Assert.Equal(0ul, device.Read(0, 4));
        Select(device, 0x3FFF);
        Assert.Equal(0ul, device.Read(0, 4));
    }

    [Fact]
    public void FwCfg_DMA_selects_skips_and_reads_and_fills_up_with_zeros()
    {
        FwCfg device = Device();
        Bytes(Ram + 0x1000, 0x3000).Fill(0xEE);
        Assert.Equal(0u, Dma(device, DoSelect | DoSkip | (0x22 << 16), 2, 0));
        Assert.Equal(0u, Dma(device, DoRead, 0x2345, Ram + 0x1003));
        Assert.Equal("cond"u8.ToArray(), Bytes(Ram + 0x1003, 4).ToArray());
        Assert.False(Bytes(Ram + 0x1007, 0x2345 - 4).ContainsAnyExcept((byte)0));
        Assert.Equal([0xEE, 0xEE, 0xEE], Bytes(Ram + 0x1000, 3).ToArray());
        Assert.Equal(0xEE, Bytes(Ram + 0x1003 + 0x2345, 1)[0]);

        // By two 32-bit writes.
        Assert.Equal(0u, Dma(device, DoSelect | DoRead | (0x22 << 16), 6, Ram + 0x5000, halves: true));
        Assert.Equal("second"u8.ToArray(), Bytes(Ram + 0x5000, 6).ToArray());
    }

    [Theory]
    [InlineData(DoRead, 4u, 0x0ul)]                   // flash
    [InlineData(DoRead, 4u, 0x0900_0000ul)]           // nothing
    [InlineData(DoRead, 4u, Ram - 1)]
    [InlineData(DoRead, 4u, Ram + RamSize - 3)]
    [InlineData(DoRead, uint.MaxValue, Ram)]
    [InlineData(DoRead, 16u, ulong.MaxValue - 7)]
    [InlineData(DoWrite, 1u, Ram)]
    [InlineData(DoRead | DoWrite, 4u, 0x0ul)]
    public void FwCfg_DMA_that_cannot_be_done_says_so_and_touches_nothing(uint control, uint length, ulong address)
    {
        FwCfg device = Device();
        Select(device, 0x22);
        byte[] before = Bytes(Ram + 0x200, (int)RamSize - 0x200).ToArray();
        Assert.Equal(Error, Dma(device, control, length, address));
        Assert.True(Bytes(Ram + 0x200, before.Length).SequenceEqual(before));
        Assert.False(_flash.Span(_flash.Start, 16).ContainsAnyExcept((byte)0));
        Assert.Equal((ulong)'s', device.Read(0, 1));
    }

    [Theory]
    [InlineData(0x0ul)]
    [InlineData(0x0900_0000ul)]
    [InlineData(Ram + RamSize - 15)]
    [InlineData(ulong.MaxValue - 3)]
    public void FwCfg_DMA_descriptor_outside_RAM_is_dropped(ulong descriptor)
    {
        FwCfg device = Device();
        byte[] before = Bytes(Ram, (int)RamSize).ToArray();
        device.Write(0x10, 8, BinaryPrimitives.ReverseEndianness(descriptor));
        Assert.True(Bytes(Ram, before.Length).SequenceEqual(before));
    }

    [Fact]
    public void FwCfg_DMA_of_the_largest_length_is_over_at_once()
    {
        using var large = new GuestMemory(new GuestPhysicalAddress(0x1_0000_0000), 5ul << 30);
        _bus.AddMemory(large);
        FwCfg device = Device();
        TimeSpan start = Patience.CpuTime();
        Assert.Equal(0u, Dma(device, DoSelect | DoRead | (0x22 << 16), uint.MaxValue, 0x1_0000_0001));
        Assert.Equal(0u, Dma(device, DoSkip, uint.MaxValue, 0));
        Assert.InRange(Patience.CpuTime() - start, TimeSpan.Zero, TimeSpan.FromMilliseconds(900));
        Assert.Equal("second\0"u8.ToArray(), large.Span(large.Start + 1, 7).ToArray());
    }

    [Fact]
    public void FwCfg_DMA_to_the_end_of_RAM_is_done()
    {
        FwCfg device = Device();
        Assert.Equal(0u, Dma(device, DoSelect | DoRead | (0x22 << 16), 6, Ram + RamSize - 6));
        Assert.Equal("second"u8.ToArray(), Bytes(Ram + RamSize - 6, 6).ToArray());
    }

    [Fact]
    public void FwCfg_DMA_over_its_own_descriptor_ends_with_the_answer()
    {
        FwCfg device = Device();
        Assert.Equal(0u, Dma(device, DoSelect | DoRead | (0x22 << 16), 64, Descriptor - 8));
        Assert.Equal("second"u8.ToArray(), Bytes(Descriptor - 8, 6).ToArray());
    }

    private FwCfg Device()
    {
        var device = new FwCfg(_bus);
        device.Offer(_items);
        device.Reset();
        return device;
    }

    private Span<byte> Bytes(ulong address, int length) => _ram.Span(new GuestPhysicalAddress(address), length);

    // The control word that the transfer leaves.
    private uint Dma(FwCfg device, uint control, uint length, ulong address, bool halves = false)
    {
        BinaryPrimitives.WriteUInt32BigEndian(Bytes(Descriptor, 4), control);
        BinaryPrimitives.WriteUInt32BigEndian(Bytes(Descriptor + 4, 4), length);
        BinaryPrimitives.WriteUInt64BigEndian(Bytes(Descriptor + 8, 8), address);
        if (halves)
        {
            device.Write(0x10, 4, 0);
            device.Write(0x14, 4, BinaryPrimitives.ReverseEndianness((uint)Descriptor));
        }
        else
        {
            device.Write(0x10, 8, BinaryPrimitives.ReverseEndianness(Descriptor));
        }

        return BinaryPrimitives.ReadUInt32BigEndian(Bytes(Descriptor, 4));
    }

    private static void Select(FwCfg device, ushort key) => device.Write(8, 2, BinaryPrimitives.ReverseEndianness(key));

    private static byte[] Read(FwCfg device, ushort key, int length)
    {
        Select(device, key);
        return [.. Enumerable.Range(0, length).Select(_ => (byte)device.Read(0, 1))];
    }

    private static string ReadText(FwCfg device, ushort key, int length) => Encoding.ASCII.GetString(Read(device, key, length));
}
