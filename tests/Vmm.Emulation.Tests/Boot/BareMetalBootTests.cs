using System.Buffers.Binary;
using System.Diagnostics;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Boot;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Tests.SystemOracle;

namespace Vmm.Emulation.Tests.Boot;

/// <summary>Programs that are not Linux: entered as QEMU enters them.</summary>
public sealed class BareMetalBootTests : IDisposable
{
    private const ulong Ram = 0x4000_0000;

    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-bare").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("flat", 0x4008_0000)]
    [InlineData("elf", 0x4010_0000)]
    [InlineData("elf", 0x4000_0000)]
    public void Program_is_entered_as_QEMU_enters_it(string kind, long address)
    {
        string program = Link(address, kind == "flat");
        string expected = new QemuMachine().Run(program, "cortex-a57", 1);
        Assert.StartsWith($"{address:x16}\n", expected, StringComparison.Ordinal);
        string seen = new EngineMachine(Accelerators.Default).Run(program, "cortex-a57", 1);
        if (address == (long)Ram)
        {
            // QEMU has no room for a device tree at the start of RAM then, and gives none.
            Assert.Equal(expected.Split('\n')[..5], seen.Split('\n')[..5]);
            Assert.Contains("\n00000000d00dfeed\n", seen, StringComparison.Ordinal);
        }
        else
        {
            Assert.Equal(expected, seen);
        }
    }

    [Fact]
    public void Initrd_is_told_of_by_the_device_tree_and_without_one_nothing_is_said()
    {
        byte[] program = File.ReadAllBytes(Link(0x4008_0000, flat: true));
        BootPlan without = BootPlan.Make(new VirtBoard(Config(program, default)));
        Assert.Equal(["device tree", "kernel"], without.Blobs.Select(b => b.Name).Order());
        Assert.False(Tree(without).AsSpan().IndexOf("linux,initrd-start"u8) >= 0);
        BootPlan with = BootPlan.Make(new VirtBoard(Config(program, new byte[5000])));
        BootBlob initrd = with.Blobs.Single(b => b.Name == "initrd");
        Assert.Equal(Ram + (32 << 20), initrd.Address);
        Assert.True(Tree(with).AsSpan().IndexOf("linux,initrd-start"u8) >= 0);
        Assert.True(with.DeviceTreeAddress >= initrd.Address + 5000);
    }

    [Fact]
    public void Segment_of_another_virtual_address_is_entered_at_its_physical_one()
    {
        byte[] program = File.ReadAllBytes(Link(0x4010_0000, flat: false));
        int header = (int)BinaryPrimitives.ReadUInt64LittleEndian(program.AsSpan(32));
        ulong virtualAddress = 0xFFFF_8000_0010_0000;
        BinaryPrimitives.WriteUInt64LittleEndian(program.AsSpan(header + 16), virtualAddress);
        BinaryPrimitives.WriteUInt64LittleEndian(program.AsSpan(24), virtualAddress);
        Assert.Equal(0x4010_0000ul, BootPlan.Make(new VirtBoard(Config(program, default))).EntryPoint);
    }

    public static TheoryData<string, string> Wrong() => new()
    {
        { "empty", "only 0 bytes long" },
        { "short", "only 3 bytes long" },
        { "large", "64 MiB of RAM do not hold the program" },
        { "cut", "a truncated ELF file" },
        { "cut header", "a truncated ELF file" },
        { "big-endian", "a big-endian ELF file; only little-endian ones run" },
        { "x86", "an ELF file for x86-64, not for AArch64" },
        { "object", "an ELF file that is not linked" },
        { "elsewhere", "which is not in RAM (0x40000000 to 0x43ffffff); of Linux give the Image, not vmlinux" },
        { "entry", "its entry point at 0x50000000, where it has no instruction" },
        { "xz", "compressed with xz: unpack it with unxz" },
        { "cpio", "a cpio archive: give it as -initrd" },
        { "bzImage", "a Linux kernel for x86: give one for arm64" },
        { "application", "an EFI application: give firmware to start it, with -bios" },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void Wrong_says_what_in_one_line(string name, string message)
    {
        byte[] elf = File.ReadAllBytes(Link(0x4010_0000, flat: false));
        byte[] file = name switch
        {
            "empty" => [],
            "short" => [1, 2, 3],
            "large" => new byte[64 << 20],
            "cut" => elf[..150],
            "cut header" => elf[..70],
            "big-endian" => With(elf, (5, 2), (18, 0), (19, 183)),
            "x86" => With(elf, (18, 62)),
            "object" => With(elf, (16, 1)),
            "elsewhere" => File.ReadAllBytes(Link(0x5010_0000, flat: false)),
            "entry" => With(elf, (26, 0), (27, 0x50)),
            "xz" => [0xFD, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0],
            "cpio" => "070701"u8.ToArray(),
            "bzImage" => [.. new byte[0x202], .. "HdrS"u8, .. new byte[100]],
            "application" => [.. "MZ"u8, .. new byte[30]],
            _ => throw new ArgumentException(name),
        };
        string said = Assert.Throws<InvalidDataException>(() => BootPlan.Make(new VirtBoard(Config(file, default)))).Message;
        Assert.Contains(message, said, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', said);
    }

    private static MachineConfig Config(byte[] kernel, ReadOnlyMemory<byte> initrd) =>
        new(CpuModel.Find("max")!, 1, new CpuTopology(1, 1, 1, 1), 64 << 20, new BootConfig(kernel, initrd, "")) { Acpi = false };

    private static byte[] Tree(BootPlan plan) => plan.Blobs.Single(b => b.Name == "device tree").Contents.ReadAll().ToArray();

    private static byte[] With(byte[] file, params (int Offset, byte Value)[] changes)
    {
        byte[] changed = [.. file];
        foreach ((int offset, byte value) in changes)
        {
            changed[offset] = value;
        }

        return changed;
    }

    private string Link(long address, bool flat)
    {
        string elf = Path.Combine(_folder, "entry.elf");
        string source = Path.Combine(AppContext.BaseDirectory, "payloads", "bare", "entry.S");
        Execute("aarch64-linux-gnu-gcc", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none,--no-warn-rwx-segments",
            $"-Wl,-N,-Ttext=0x{address:x}", "-o", elf, source);
        if (!flat)
        {
            return elf;
        }

        Execute("aarch64-linux-gnu-objcopy", "-O", "binary", elf, elf + ".bin");
        return elf + ".bin";
    }

    private static void Execute(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, errors);
    }
}
