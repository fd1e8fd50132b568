using Vmm.Management.Commands;
using Vmm.Management.Qapi;

namespace Vmm.Management.Qmp;

public sealed record CommandInfo(string Name);

public sealed record HumanMonitorCommandArguments(string CommandLine, long? CpuIndex);

/// <summary>Executes one line of the monitor for people, at a monitor of its own.</summary>
/// <param name="line">The command line.</param>
/// <param name="cpu">The CPU that commands about a CPU look at.</param>
/// <returns>The answer, with line feeds between its lines and none at its end.</returns>
public delegate Task<string> HumanMonitor(string line, int cpu);

/// <summary>The commands of a QMP server: those of all families, and those about QMP itself.</summary>
public static class QmpCommands
{
    public static QapiCommandTable Create(MonitorCommands commands, HumanMonitor humanMonitor)
    {
        var table = new QapiCommandTable();
        commands.Register(table);

        // Each session answers qmp_capabilities itself; the table has it for the lists of commands.
        table.Add<QmpCapabilitiesArguments>("qmp_capabilities", _ => Task.CompletedTask);
        table.AddQuery("query-commands", () =>
            Task.FromResult<CommandInfo[]>([.. table.Commands.Select(c => new CommandInfo(c.Shape.Name))]));
        table.AddQuery("query-qmp-schema", typeof(SchemaInfo[]), () =>
            QapiSchema.Describe(table.Commands.Select(c => c.Shape), VmEvents.Shapes));
        table.AddQuery<HumanMonitorCommandArguments, string>(
            "human-monitor-command", arguments => Execute(arguments, commands.Vm, humanMonitor), "savevm-monitor-nodes");
        return table;
    }

    private static async Task<string> Execute(HumanMonitorCommandArguments arguments, MonitorVm vm, HumanMonitor humanMonitor)
    {
        if (arguments.CpuIndex is { } cpu && (cpu < 0 || cpu >= vm.Config.PossibleCpus))
        {
            throw new QapiException("Parameter 'cpu-index' expects a CPU number");
        }

        string answer = await humanMonitor(arguments.CommandLine, (int)(arguments.CpuIndex ?? 0)).ConfigureAwait(false);
        return answer.Length == 0 ? "" : answer.ReplaceLineEndings("\r\n") + "\r\n";
    }
}
