using System.Diagnostics;
using Vmm.Acpi;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Boot;
using Vmm.Emulation.Cpu;

namespace Vmm.Emulation.Tests.Boot;

/// <summary>The machine's tables, judged by Intel's ACPI tools (Debian's acpica-tools).</summary>
public sealed class AcpiTablesTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-acpi-");

    private static MachineConfig Config(int enabled, CpuTopology topology) =>
        new(CpuModel.Find("max")!, enabled, topology, 512 << 20, new BootConfig(new byte[64], null, ""));

    private static AcpiTableSet Tables(int enabled, CpuTopology topology, bool generationId = false) => AcpiTables.Build(
        new VirtBoard(Config(enabled, topology) with { GenerationId = generationId ? new GenerationIdConfig(null) : null }), 0x4800_0000);

    [Theory]
    [InlineData(4, 1, 1, 6, 1)]
    [InlineData(1, 2, 2, 2, 2)]
    [InlineData(1, 1, 1, 512, 1)]
    public void AcpiTables_each_is_taken_by_iasl(int enabled, int sockets, int clusters, int cores, int threads)
    {
        foreach (AcpiTable table in Tables(enabled, new CpuTopology(sockets, clusters, cores, threads)).Tables)
        {
            string file = Write(table);
            string output = Run("iasl", $"-d {file}");
            Assert.DoesNotContain("Error", output, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain("Invalid", output, StringComparison.OrdinalIgnoreCase);
            string source = File.ReadAllText(System.IO.Path.ChangeExtension(file, "dsl"));
            Assert.DoesNotContain("Unknown", source, StringComparison.Ordinal);
            Assert.DoesNotContain("Incorrect", source, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain("Invalid", source, StringComparison.OrdinalIgnoreCase);
        }
    }

    // Without a VM generation ID: QEMU's name of that, QEMUVGID, is none that iasl likes.
    [Fact]
    public void AcpiTables_dsdt_compiles_again_without_errors_or_warnings()
    {
        string file = Write(Tables(4, new CpuTopology(1, 1, 6, 1)).Tables.First(t => t.Signature == "DSDT"));
        Run("iasl", $"-d {file}");
        string output = Run("iasl", $"-p {file}.again {System.IO.Path.ChangeExtension(file, "dsl")}");
        Assert.Contains("0 Errors, 0 Warnings", output, StringComparison.Ordinal);
    }

    [Fact]
    public void AcpiTables_acpiexec_finds_a_cpu_that_is_not_enabled_present()
    {
        // acpiexec fills regions with zeros: no CPU is enabled.
        string file = Write(Tables(4, new CpuTopology(1, 1, 6, 1)).Tables.First(t => t.Signature == "DSDT"));
        Assert.Contains("[Integer] = 000000000000000D", Run("acpiexec", $"-b \"evaluate \\_SB.CPUS.C004._STA\" {file}"),
            StringComparison.Ordinal);
        Assert.Contains("AE_NOT_FOUND", Run("acpiexec", $"-b \"evaluate \\_SB.CPUS.C000._EJ0 1\" {file}"), StringComparison.Ordinal);
    }

    [Fact]
    public void AcpiTables_acpiexec_finds_the_address_of_the_generation_id()
    {
        string file = Write(Tables(4, new CpuTopology(1, 1, 6, 1), generationId: true).Tables.First(t => t.Signature == "DSDT"));
        string output = Run("acpiexec", $"-b \"evaluate \\_SB.VGEN.ADDR\" {file}");
        Assert.Matches(@"Contains 2 Elements:\s+\[Integer\] = 00000000090E0000\s+\[Integer\] = 0000000000000000", output);
        Assert.DoesNotContain("AE_", Run("acpiexec", $"-b \"evaluate \\_SB.GED._EVT 41\" {file}"), StringComparison.Ordinal);
        Assert.DoesNotContain("Error", Run("iasl", $"-d {file}"), StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("\\_SB.CPUS.CSCN")]
    [InlineData("\\_SB.CPUS.C004._EJ0 1")]
    [InlineData("\\_SB.CPUS.C004._OST 3 0 0")]
    [InlineData("\\_SB.GED._EVT 41")]
    public void AcpiTables_acpiexec_evaluates_every_method(string call)
    {
        string file = Write(Tables(4, new CpuTopology(1, 1, 6, 1)).Tables.First(t => t.Signature == "DSDT"));
        string output = Run("acpiexec", $"-b \"evaluate {call}\" {file}");
        Assert.Contains("Evaluating", output, StringComparison.Ordinal);
        Assert.DoesNotContain("AE_", output, StringComparison.Ordinal);
    }

    [Fact]
    public void AcpiTables_rsdp_and_tables_add_up_to_zero()
    {
        AcpiTableSet set = Tables(4, new CpuTopology(1, 1, 6, 1));
        Assert.Equal(0, AcpiTable.Checksum(set.Bytes.AsSpan(0, 20)));
        Assert.Equal(0, AcpiTable.Checksum(set.Bytes.AsSpan(0, 36)));
        Assert.All(set.Tables, t => Assert.Equal(0, AcpiTable.Checksum(t.Bytes)));
    }

    private string Write(AcpiTable table)
    {
        string file = System.IO.Path.Combine(_folder.FullName, table.Signature.ToLowerInvariant() + ".dat");
        File.WriteAllBytes(file, table.Bytes.ToArray());
        return file;
    }

    private string Run(string tool, string arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(tool, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = _folder.FullName,
        })!;
        process.StandardInput.Close();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd() + errors.Result;
        Assert.True(process.WaitForExit(Patience.Limit), $"{tool} {arguments} did not end");
        return output;
    }

    public void Dispose() => _folder.Delete(recursive: true);
}
