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
        string[] expected = ["apic", "dbg2", "dsdt", "facp", "gtdt", "pptt", "rsdp", "spcr", "xsdt"];
        Assert.Equal(expected, Directory.EnumerateFiles(_folder, "*.dat").Select(f => Path.GetFileNameWithoutExtension(f)!).Order());

        var iasl = new ProcessStartInfo("iasl", ["-d", Path.Combine(_folder, "dsdt.dat")]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using (Process process = Process.Start(iasl)!)
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            string errors = await process.StandardError.ReadToEndAsync();
            await process.WaitForExitAsync();
            Assert.True(process.ExitCode == 0, await output + errors);
        }

        string source = await File.ReadAllTextAsync(Path.Combine(_folder, "dsdt.dsl"));
        Assert.Contains("Device (C005)", source, StringComparison.Ordinal);
        Assert.DoesNotContain("Device (C006)", source, StringComparison.Ordinal);
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
}
