using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Host.Options;

namespace Vmm.Host.Tests;

public sealed class FirmwareOptionTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-test");
    private readonly string _bank;

    public FirmwareOptionTests()
    {
        _bank = Write("bank.fd", VirtMap.FlashBankSize, 0x12_3456);
        Write("small.fd", 4096, 100);
        Write("large.fd", VirtMap.FlashBankSize + 1, 0);
    }

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void No_option_is_no_firmware() => Assert.Null(FirmwareOption.Open(null, []));

    [Fact]
    public void Bios_is_read_only_and_variables_are_not_kept()
    {
        FirmwareConfig firmware = FirmwareOption.Open(PathOf("small.fd"), [])!;
        Assert.True(firmware.Code.ReadOnly);
        Assert.Equal(101, firmware.Code.Contents.Length);
        Assert.Equal(7, firmware.Code.Contents.Span[100]);
        Assert.Equal(new FlashImage(default, false), firmware.Variables);
    }

    [Fact]
    public void Drives_are_banks_by_unit_and_one_that_is_written_is_open_for_this_VM_alone()
    {
        string other = Write("other.fd", VirtMap.FlashBankSize, 5);
        FirmwareConfig firmware =
            FirmwareOption.Open(null, [$"if=pflash,format=raw,unit=1,file={_bank}", $"if=pflash,unit=0,file={other},readonly=on"])!;
        Assert.True(firmware.Code.ReadOnly);
        Assert.Null(firmware.Code.File);
        Assert.Equal(6, firmware.Code.Contents.Length);
        Assert.False(firmware.Variables.ReadOnly);
        Assert.Equal(0x12_3457, firmware.Variables.Contents.Length);
        Assert.Throws<OptionException>(() => FirmwareOption.Open(other, [$"if=pflash,unit=1,file={_bank}"]));
        firmware.Variables.File!.Dispose();
        FirmwareOption.Open(other, [$"if=pflash,unit=1,file={_bank}"])!.Variables.File!.Dispose();
    }

    [Theory]
    [InlineData(null, "if=pflash,unit=1,file=bank.fd", "a drive of pflash unit 1 without firmware")]
    [InlineData("small.fd", "if=pflash,unit=0,file=bank.fd,readonly=on", "you cannot use both options at once")]
    [InlineData(null, "if=pflash,unit=0,file=small.fd", "has 4096 bytes: 64 MiB, the size of a bank of flash, are needed")]
    [InlineData("large.fd", null, "has 67108865 bytes: at most 64 MiB")]
    [InlineData("none.fd", null, "cannot read the firmware")]
    [InlineData(null, "if=pflash,unit=0,file=none.fd", "cannot read the flash image")]
    [InlineData(null, "if=pflash,unit=2,file=bank.fd", "'unit=2' is not supported")]
    [InlineData(null, "if=virtio,file=bank.fd", "'if=virtio' is not supported")]
    [InlineData(null, "if=pflash", "give if=pflash")]
    [InlineData(null, "if=pflash,format=qcow2,file=bank.fd", "'format=qcow2' is not supported")]
    public void Wrong_says_what_in_one_line(string? bios, string? drive, string message)
    {
        string[] drives = drive == null ? [] : [drive.Replace("file=", $"file={_folder.FullName}/", StringComparison.Ordinal)];
        string said = Assert.Throws<OptionException>(() => FirmwareOption.Open(bios == null ? null : PathOf(bios), drives)).Message;
        Assert.Contains(message, said, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', said);
    }

    [Fact]
    public void Truncated_firmware_is_refused_by_the_header_of_its_volume()
    {
        const string Bios = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd";
        byte[] whole = File.ReadAllBytes(Bios);
        Assert.NotNull(FirmwareOption.Open(Bios, []));
        foreach (int length in (int[])[whole.Length - 1, whole.Length / 2, 8192])
        {
            File.WriteAllBytes(PathOf("cut.fd"), whole[..length]);
            Assert.EndsWith(
                $"is truncated: it has {length} bytes, and the header of its volume tells of {whole.Length}",
                Assert.Throws<OptionException>(() => FirmwareOption.Open(PathOf("cut.fd"), [])).Message,
                StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Two_drives_of_one_unit_are_refused() => Assert.Equal(
        "drive with bus=0, unit=0 (index=0) exists",
        Assert.Throws<OptionException>(() => FirmwareOption.Open(
            null, [$"if=pflash,unit=0,file={_bank},readonly=on", $"if=pflash,unit=0,file={_bank},readonly=on"])).Message);

    [Fact]
    public void Kernel_is_not_needed_with_firmware()
    {
        var options = new MachineOptions { Bios = PathOf("small.fd") };
        MachineConfig config = options.ToConfig();
        Assert.True(config.Boot.Kernel.IsEmpty);
        Assert.NotNull(config.Firmware);
        Assert.Contains(
            "-append only allowed with -kernel option",
            Assert.Throws<OptionException>(() => (options with { Append = "quiet" }).ToConfig()).Message,
            StringComparison.Ordinal);
    }

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);

    // A sparse file with one byte.
    private string Write(string name, ulong size, int at)
    {
        using FileStream file = File.Create(PathOf(name));
        file.SetLength((long)size);
        file.Position = at;
        file.WriteByte(7);
        return file.Name;
    }
}
