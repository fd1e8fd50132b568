using System.CommandLine;
using Vmm.Acpi;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Boot;
using Vmm.Emulation.Cpu;
using Vmm.Host.Options;
using Vmm.Management.Text;

namespace Vmm.Host.Commands;

/// <summary>
/// The command <c>vmm acpi dump</c>: writes the ACPI tables of a machine as files for <c>iasl -d</c> and <c>acpiexec</c>.
/// </summary>
public static class AcpiCommand
{
    // The address for which the tables are made. At a boot they lie below the top of RAM instead.
    private static readonly ulong s_address = VirtMap.Board.Ram.Value;

    public static Command Create()
    {
        OptionRow row = OptionTable.Find("smp")!;
        var smp = new Option<string>($"--{row.Name}", $"-{row.Name}") { Description = row.Syntax, DefaultValueFactory = _ => "1" };
        OptionRow machineRow = OptionTable.Find("machine")!;
        var machine = new Option<string>($"--{machineRow.Name}", $"-{machineRow.Name}") { Description = machineRow.Syntax,
            DefaultValueFactory = _ => "virt" };
        var folder = new Option<string>("--out") { Description = "folder for the files", DefaultValueFactory = _ => "." };
        var dump = new Command("dump", "Write the ACPI tables of a machine, one file each") { smp, machine, folder };
        dump.SetAction(parsed => Dump(parsed.GetValue(smp)!, parsed.GetValue(machine)!, parsed.GetValue(folder)!));
        return new Command("acpi", "ACPI tables") { dump };
    }

    private static Task<int> Dump(string smpText, string machineText, string folder)
    {
        try
        {
            SmpOption smp = SmpOption.Of(SmpOption.Add(new Dictionary<string, int>(), smpText));
            MachineOption machine = new MachineOption().Add(machineText);
            var config = new MachineConfig(CpuModel.Find("max")!, smp.Cpus, smp.Topology, 0, new BootConfig(default, null, ""))
            {
                DisabledCpus = smp.DisabledCpus,
                ColdPluggedCpusOnlineCapable = machine.OnlineCapable,
                Msi = machine.Msi,
                Pci = machine.Pci,
            };
            using var board = new VirtBoard(config);
            AcpiTableSet tables = AcpiTables.Build(board, s_address);
            Directory.CreateDirectory(folder);
            Write(folder, "RSDP", tables.Bytes.AsSpan(0, AcpiTableSet.RsdpSize));
            foreach (AcpiTable table in tables.Tables)
            {
                Write(folder, table.Signature, table.Bytes);
            }

            return Task.FromResult(ExitCode.Success);
        }
        catch (OptionException e)
        {
            return Complaint.Write(e.Message);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return Complaint.Write($"cannot write the tables to '{UserText.Legible(folder)}': {SystemError.Describe(e)}");
        }
    }

    // The names of the files are those of acpidump -b.
    private static void Write(string folder, string signature, ReadOnlySpan<byte> bytes)
    {
        string path = Path.Combine(folder, $"{signature.ToLowerInvariant()}.dat");
        File.WriteAllBytes(path, bytes);
        System.Console.WriteLine($"{path}: {bytes.Length} bytes");
    }
}
