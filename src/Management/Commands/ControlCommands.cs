using Vmm.Management.Hmp;
using Vmm.Management.Qapi;
using Vmm.Management.Qmp;

namespace Vmm.Management.Commands;

public sealed record CommandInfo(string Name);

public sealed record HumanMonitorCommandArguments(string CommandLine, long? CpuIndex);

public enum ImageFormat
{
    Ppm,
    Png,
}

public sealed record ScreendumpArguments(string Filename, string? Device, long? Head, ImageFormat? Format);

/// <summary>What is about the monitor itself, and what a machine without a screen, disks and migration has to say.</summary>
public sealed class ControlCommands(MonitorCommands commands)
{
    public void Register(QmpCommandTable table)
    {
        // Each session answers it; here it is for the lists of commands.
        table.Add<QmpCapabilitiesArguments>("qmp_capabilities", _ => Task.CompletedTask);
        table.AddQuery("query-commands", () =>
            Task.FromResult<CommandInfo[]>([.. table.Commands.Select(c => new CommandInfo(c.Shape.Name))]));
        table.AddQuery("query-qmp-schema", typeof(SchemaInfo[]), () =>
            QapiSchema.Describe(table.Commands.Select(c => c.Shape), QmpEvents.Shapes));
        table.AddQuery<HumanMonitorCommandArguments, string>("human-monitor-command", HumanMonitorCommand, "savevm-monitor-nodes");
        table.Add<ScreendumpArguments>("screendump", _ => throw new QapiException("There is no console to take a screendump from"));
    }

    private async Task<string> HumanMonitorCommand(HumanMonitorCommandArguments arguments)
    {
        if (arguments.CpuIndex is { } cpu && (cpu < 0 || cpu >= commands.Vm.Config.PossibleCpus))
        {
            throw new QapiException("Parameter 'cpu-index' expects a CPU number");
        }

        var monitor = new HmpMonitor(commands, new HmpContext { Cpu = (int)(arguments.CpuIndex ?? 0) });
        string answer = await monitor.Execute(arguments.CommandLine).ConfigureAwait(false);
        return answer.Length == 0 ? "" : answer.ReplaceLineEndings("\r\n") + "\r\n";
    }
}
