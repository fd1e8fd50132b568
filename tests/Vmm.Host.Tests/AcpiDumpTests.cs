using System.Diagnostics;
using Vmm.Host.Commands;

namespace Vmm.Host.Tests;

/// <summary><c>vmm acpi dump</c>: what it writes, <c>iasl</c> reads.</summary>
public sealed class AcpiDumpTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-acpi-").FullName;

    [Fact]
    public async Task Dump_writes_every_table_and_iasl_reads_the_dsdt()
    {
        Assert.Equal(0, AcpiCommand.Create().Parse(["dump", "--smp", "cpus=4,maxcpus=6", "--out", _folder]).Invoke());
        string[] expected = ["apic", "dbg2", "dsdt", "facp", "gtdt", "iort", "mcfg", "pptt", "rsdp", "spcr", "xsdt"];
        Assert.Equal(expected, Directory.EnumerateFiles(_folder, "*.dat").Select(f => Path.GetFileNameWithoutExtension(f)!).Order());

        string source = await DisassembleAsync("dsdt");
        Assert.Contains("Device (C005)", source, StringComparison.Ordinal);
        Assert.DoesNotContain("Device (C006)", source, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Messages_go_to_the_controller_of_the_machine_option()
    {
        Assert.Equal(0, AcpiCommand.Create().Parse(["dump", "--machine", "msi=gicv2m", "--out", _folder]).Invoke());
        string madt = await DisassembleAsync("apic");
        Assert.Matches(@"Subtable Type : 0D \[Generic MSI Frame\]", madt);
        Assert.Matches(@"Base Address : 0000000008020000\n(.*\n){2}.*SPI Count : 0040\n.*SPI Base : 0050\n", madt);
        Assert.DoesNotContain("Generic Interrupt Translator", madt, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(_folder, "iort.dat")));
    }

    // Flags of the GICC structures, behind the header, 8 bytes and the GICD: 1 is Enabled, 8 online-capable (ACPI 6.5, table 5.37).
    [Theory]
    [InlineData("cpus=3,disabledcpus=2", "", "1 1 1 8 8")]
    [InlineData("cpus=3,maxcpus=5", "virt", "1 1 1 8 8")]
    [InlineData("cpus=3,disabledcpus=2", "online-capable-cpus=on", "1 8 8 8 8")]
    public void Cpus_of_power_on_are_enabled_for_good_unless_they_may_leave(string smp, string machine, string flags)
    {
        string[] options = machine.Length == 0 ? [] : ["--machine", machine];
        Assert.Equal(0, AcpiCommand.Create().Parse(["dump", "--smp", smp, .. options, "--out", _folder]).Invoke());
        byte[] madt = File.ReadAllBytes(Path.Combine(_folder, "apic.dat"));
        Assert.Equal(flags, string.Join(' ', Enumerable.Range(0, 5).Select(i => madt[36 + 8 + 24 + (80 * i) + 12])));
    }

    /// <summary>Beside the tree of QEMU's machine, by the compiler of device trees.</summary>
    [Fact]
    public async Task Machine_writes_its_device_tree_where_QEMU_does()
    {
        string[] line = ["-smp", "2", "-m", "300M", "-cpu", "cortex-a57"];
        string ours = Path.Combine(_folder, "ours.dtb");
        string theirs = Path.Combine(_folder, "theirs.dtb");
        using Process vmm = VmmProcess.Start([.. line, "-machine", $"virt,acpi=off,dumpdtb={ours}"]);
        Assert.Contains($"dtb dumped to {ours}. Exiting.", await vmm.StandardError.ReadToEndAsync(), StringComparison.Ordinal);
        await vmm.WaitForExitAsync();
        Assert.Equal(0, vmm.ExitCode);
        using Process qemu = Process.Start("qemu-system-aarch64",
            [.. line, "-machine", $"virt,acpi=off,gic-version=3,dumpdtb={theirs}", "-nodefaults", "-display", "none"]);
        await qemu.WaitForExitAsync();

        // Ours has flash with firmware alone and no bus for devices of the platform, and tells of caches.
        Assert.Equal(
            (await NodesAsync(theirs)).Where(n => n is not ("flash@0" or "platform-bus@c000000")).Order(),
            (await NodesAsync(ours)).Where(n => !n.Contains("-cache", StringComparison.Ordinal)).Order());

        using Process refused = VmmProcess.Start(["-machine", "dumpdtb=/nosuch/tree"]);
        Assert.Contains("No such file or directory", await refused.StandardError.ReadToEndAsync(), StringComparison.Ordinal);
        await refused.WaitForExitAsync();
        Assert.Equal(1, refused.ExitCode);
    }

    // The names of a tree's nodes.
    private static async Task<string[]> NodesAsync(string tree)
    {
        var start = new ProcessStartInfo("dtc", ["-q", "-I", "dtb", "-O", "dts", tree]) { RedirectStandardOutput = true };
        using Process dtc = Process.Start(start)!;
        string source = await dtc.StandardOutput.ReadToEndAsync();
        await dtc.WaitForExitAsync();
        return [.. source.Split('\n').Select(l => l.Trim()).Where(l => l.EndsWith(" {", StringComparison.Ordinal)).Select(l => l[..^2])];
    }

    [Fact]
    public void Dump_of_a_wrong_topology_is_bad_input() =>
        Assert.Equal(1, AcpiCommand.Create().Parse(["dump", "--smp", "cpus=4,maxcpus=2", "--out", _folder]).Invoke());

    [Fact]
    public void Dump_into_a_file_is_bad_input()
    {
        string file = Path.Combine(_folder, "file");
        File.WriteAllText(file, "");
        Assert.Equal(1, AcpiCommand.Create().Parse(["dump", "--out", file]).Invoke());
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private async Task<string> DisassembleAsync(string table)
    {
        var iasl = new ProcessStartInfo("iasl", ["-d", Path.Combine(_folder, table + ".dat")]) { RedirectStandardOutput = true,
            RedirectStandardError = true };
        using Process process = Process.Start(iasl)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        string errors = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, await output + errors);
        return await File.ReadAllTextAsync(Path.Combine(_folder, table + ".dsl"));
    }
}
