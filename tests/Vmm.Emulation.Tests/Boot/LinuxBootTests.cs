using System.Buffers.Binary;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Boot;
using Vmm.Emulation.Boot.Efi;
using Vmm.Emulation.Cpu;

namespace Vmm.Emulation.Tests.Boot;

/// <summary>What a Linux kernel finds in RAM.</summary>
public sealed class LinuxBootTests
{
    private const ulong Ram = 0x4000_0000;

    [Theory]
    [InlineData(64ul << 20, 1)]
    [InlineData((300ul << 20) + 4096, 512)]
    [InlineData(200ul << 30, 6)]
    public void Memory_map_is_in_order_and_holds_every_blob_in_memory_of_its_kind(ulong memory, int cpus)
    {
        BootPlan plan = BootPlan.Make(new VirtBoard(Config(Image(), memory, cpus)));
        (ulong Start, ulong End, uint Type, ulong Attributes, ulong Virtual)[] map = Map(plan);
        Assert.Equal(map.OrderBy(r => r.Start), map);
        Assert.Equal([11u, 7u, 6u, 5u, 9u, 7u], map.Select(r => r.Type));
        Assert.Equal((0x0901_0000ul, 0x0902_0000ul), (map[0].Start, map[0].End));
        Assert.Equal((Ram, Ram + memory), (map[1].Start, map[^1].End));
        Assert.All(map[1..^1].Zip(map[2..]), pair => Assert.Equal(pair.First.End, pair.Second.Start));
        Assert.All(map[..^1], r => Assert.Equal(0ul, r.End % EfiHandoff.Granule));
        Assert.All(map, r => Assert.Equal((r.Attributes >> 63) != 0 ? r.Start : 0, r.Virtual));
        Assert.All(map, r => Assert.Equal(r.Type is 5 or 6 or 11, (r.Attributes >> 63) != 0));

        (string Name, uint Type)[] kinds =
        [
            ("kernel", 7), ("initrd", 7), ("device tree", 7), ("EFI memory map", 7),
            ("EFI memory reservations", 7), ("EFI tables", 6), ("EFI runtime services", 5), ("ACPI tables", 9), ("SMBIOS", 9),
        ];
        Assert.Equal(kinds.Select(k => k.Name).Order(), plan.Blobs.Select(b => b.Name).Order());
        Assert.All(plan.Blobs, b => Assert.Single(
            map, r => r.Start <= b.Address && b.Address + (ulong)b.Contents.Length <= r.End
                && r.Type == kinds.Single(k => k.Name == b.Name).Type));
        BootBlob[] inOrder = [.. plan.Blobs.OrderBy(b => b.Address)];
        Assert.All(inOrder.Zip(inOrder.Skip(1)),
            pair => Assert.True(pair.First.Address + (ulong)pair.First.Contents.Length <= pair.Second.Address));
    }

    [Fact]
    public void System_table_leads_to_all_tables_and_to_services_that_are_supported()
    {
        BootPlan plan = BootPlan.Make(new VirtBoard(Config(Image(), 64 << 20, 2)));
        BootBlob tables = plan.Blobs.Single(b => b.Name == "EFI tables");
        BootBlob code = plan.Blobs.Single(b => b.Name == "EFI runtime services");
        ReadOnlySpan<byte> bytes = tables.Contents.ReadAll().Span;
        Assert.Equal("IBI SYST"u8, bytes[..8]);
        RequireChecksum(bytes[..120]);
        int runtime = (int)(U64(bytes, 88) - tables.Address);
        Assert.Equal("RUNTSERV"u8, bytes.Slice(runtime, 8));
        RequireChecksum(bytes.Slice(runtime, 136));
        ulong[] services = [.. Enumerable.Range(0, 14)
            .Select(i => U64(tables.Contents.ReadAll().Span, runtime + 24 + (i * 8)) - code.Address)];
        Assert.All(services, s => Assert.InRange(s, 0ul, (ulong)code.Contents.Length - 8));
        Assert.Equal([0, 1, 10], Enumerable.Range(0, 14).Where(i => services[i] != RuntimeServicesCode.Unsupported));

        int configuration = (int)(U64(bytes, 112) - tables.Address);
        Dictionary<Guid, ulong> found = Enumerable.Range(0, (int)U64(bytes, 104)).ToDictionary(
            i => new Guid(tables.Contents.ReadAll().Span.Slice(configuration + (i * 24), 16)),
            i => U64(tables.Contents.ReadAll().Span, configuration + (i * 24) + 16));
        Assert.Equal(plan.Blobs.Single(b => b.Name == "ACPI tables").Address, found[new Guid("8868e871-e4f1-11d3-bc22-0080c73c8881")]);
        Assert.Equal(plan.Blobs.Single(b => b.Name == "SMBIOS").Address, found[new Guid("f2fd1544-9794-4a2c-992e-e5bbcf20e394")]);
        Assert.Equal(
            plan.Blobs.Single(b => b.Name == "EFI memory reservations").Address, found[new Guid("888eb0c6-8ede-4ff5-a8f0-9aee5cb977c2")]);
        int properties = (int)(found[new Guid("eb66918a-7eef-402a-842e-931d21c38ae9")] - tables.Address);
        Assert.Equal(0x0000_0403_0008_0001ul, U64(bytes, properties));
        int attributes = (int)(found[new Guid("dcfa911d-26eb-469f-a220-38b7dc461220")] - tables.Address);
        Assert.Equal((1ul | (2ul << 32), 40ul), (U64(bytes, attributes), U64(bytes, attributes + 8)));
        Assert.Equal((tables.Address, (1ul << 63) | 0x4000), (U64(bytes, attributes + 24), U64(bytes, attributes + 48)));
        Assert.Equal((code.Address, (1ul << 63) | 0x2_0000), (U64(bytes, attributes + 64), U64(bytes, attributes + 88)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Without_an_initrd_the_device_tree_tells_of_none(bool acpi)
    {
        foreach (bool given in (bool[])[true, false])
        {
            BootPlan plan = BootPlan.Make(new VirtBoard(Config(Image(), 64 << 20, 1, given) with { Acpi = acpi }));
            Assert.Equal(given, plan.Blobs.Single(b => b.Name == "device tree").Contents.ReadAll().Span.IndexOf("linux,initrd"u8) >= 0);
            Assert.Equal(given, plan.Blobs.Any(b => b.Name == "initrd"));
        }
    }

    [Theory]
    [InlineData(2047, false)]
    [InlineData(2048, true)]
    public void Command_line_that_the_kernel_would_cut_off_is_refused(int length, bool refused)
    {
        MachineConfig config = Config(Image(), 64 << 20, 1);
        config = config with { Boot = config.Boot with { CommandLine = new string('x', length) } };
        foreach (FirmwareConfig? firmware in (FirmwareConfig?[])
            [null, new FirmwareConfig(new FlashImage(default, true), new FlashImage(default, false))])
        {
            Exception? said = Record.Exception(() => BootPlan.Make(new VirtBoard(config with { Firmware = firmware })));
            Assert.Equal(refused ? "the kernel command line has 2048 bytes: arm64 kernels take at most 2047" : null, said?.Message);
        }
    }

    [Fact]
    public void Truncated_image_is_refused_by_its_section_table()
    {
        byte[] image = Image();
        BootPlan.Make(new VirtBoard(Config(image, 64 << 20, 1)));
        foreach (int length in (int[])[image.Length - 1, 0x1000, 0x140, 0x100, 80])
        {
            string said = Assert.Throws<InvalidDataException>(() =>
                BootPlan.Make(new VirtBoard(Config(image[..length], 64 << 20, 1)))).Message;
            Assert.StartsWith($"the kernel is truncated: it has {length} bytes", said, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(8, ulong.MaxValue)]
    [InlineData(16, ulong.MaxValue)]
    [InlineData(8, 1ul << 63)]
    [InlineData(16, 64ul << 20)]
    public void Sizes_of_a_header_that_do_not_fit_are_refused(int offset, ulong value)
    {
        byte[] image = Image();
        BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan(offset), value);
        string said = Assert.Throws<InvalidDataException>(() => BootPlan.Make(new VirtBoard(Config(image, 64 << 20, 1)))).Message;
        Assert.Contains("64 MiB of RAM do not hold the kernel", said, StringComparison.Ordinal);
    }

    private static MachineConfig Config(byte[] kernel, ulong memory, int cpus, bool initrd = true) => new(
        CpuModel.Find("max")!, 1, new CpuTopology(1, 1, cpus, 1), memory,
        new BootConfig(kernel, initrd ? new byte[1000] : default, "console=ttyAMA0"));

    // An Image with an EFI stub: PE headers at 64, sections of code and data.
    private static byte[] Image()
    {
        byte[] image = new byte[0x3000];
        "MZ"u8.CopyTo(image);
        BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan(16), 0x8000);
        "ARM\x64"u8.CopyTo(image.AsSpan(56));
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(60), 64);
        "PE\0\0"u8.CopyTo(image.AsSpan(64));
        BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(64 + 6), 2);
        BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(64 + 20), 160);
        int sections = 64 + 24 + 160;
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(sections + 16), 0x1000);
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(sections + 20), 0x1000);
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(sections + 40 + 16), 0x1000);
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(sections + 40 + 20), 0x2000);
        return image;
    }

    private static (ulong Start, ulong End, uint Type, ulong Attributes, ulong Virtual)[] Map(BootPlan plan)
    {
        byte[] map = plan.Blobs.Single(b => b.Name == "EFI memory map").Contents.ReadAll().ToArray();
        return [.. Enumerable.Range(0, map.Length / 40).Select(i => map.AsMemory(i * 40, 40).ToArray()).Select(d =>
            (U64(d, 8), U64(d, 8) + (U64(d, 24) * 4096), BinaryPrimitives.ReadUInt32LittleEndian(d), U64(d, 32), U64(d, 16)))];
    }

    private static ulong U64(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt64LittleEndian(bytes[offset..]);

    // CRC-32 of a table with its checksum taken as 0. It is computed in another way than the product's: bit by bit from the most
    // significant one, with all bits mirrored.
    private static void RequireChecksum(ReadOnlySpan<byte> table)
    {
        byte[] bytes = table.ToArray();
        uint stated = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(16));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(16), 0);
        uint crc = uint.MaxValue;
        foreach (byte b in bytes)
        {
            crc ^= Mirror(b) & 0xFF00_0000;
            for (int bit = 0; bit < 8; bit++)
            {
                crc = (crc << 1) ^ ((crc >> 31) != 0 ? 0x04C1_1DB7u : 0);
            }
        }

        Assert.Equal(stated, ~Mirror(crc));
    }

    private static uint Mirror(uint value)
    {
        uint mirrored = 0;
        for (int i = 0; i < 32; i++)
        {
            mirrored |= ((value >> i) & 1) << (31 - i);
        }

        return mirrored;
    }
}
