using System.Globalization;
using System.Text.RegularExpressions;
using Vmm.Actors.Protocol;
using Vmm.Management.Commands;
using Vmm.Management.Qapi;

namespace Vmm.Management.Hmp;

/// <summary>The monitor for people: takes a command line and gives its answer as text, in QEMU's words.</summary>
/// <param name="commands">The commands of the VM.</param>
/// <param name="context">The state of this monitor between commands.</param>
public sealed partial class HmpMonitor(MonitorCommands commands, HmpContext context)
{
    /// <summary>A monitor with a state of its own.</summary>
    public HmpMonitor(MonitorCommands commands)
        : this(commands, new HmpContext())
    {
    }

    // A client may send any number of characters without a line end.
    private const int LongestLine = 4096;

    // The table is made for the first line: a VM whose monitor nobody uses starts without it.
    private HmpCommandTable? _table;

    private HmpCommandTable Table => _table ??= HmpCommands.Create(commands);

    /// <summary>Executes one line at a monitor of its own; the answer is as that of <see cref="Execute(string)"/>.</summary>
    /// <param name="cpu">The CPU that commands about a CPU look at.</param>
    public static Task<string> ExecuteAlone(MonitorCommands commands, string line, int cpu) =>
        new HmpMonitor(commands, new HmpContext { Cpu = cpu }).Execute(line);

    /// <summary>Executes one line; the answer has no final line end and may be empty.</summary>
    public async Task<string> Execute(string line) => (await TryExecute(line).ConfigureAwait(false)).Answer;

    /// <summary>Executes one line, and also tells whether it succeeded.</summary>
    public async Task<(bool Done, string Answer)> TryExecute(string line)
    {
        if (line.Length > LongestLine)
        {
            return (false, $"command lines have at most {LongestLine} characters");
        }

        try
        {
            return (true, await Execute(Table, line, 0, "").ConfigureAwait(false));
        }
        catch (QapiException e)
        {
            return (false, $"Error: {e.Message}");
        }
        catch (HmpException e)
        {
            return (false, e.Message);
        }
    }

    /// <summary>The words that can complete the last word of a line.</summary>
    public async Task<IReadOnlyList<string>> Complete(string line)
    {
        string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        bool begun = line.Length > 0 && line[^1] != ' ';
        string prefix = begun ? words[^1] : "";
        string[] before = begun ? words[..^1] : words;
        HmpCommandTable? table = Table;
        HmpCommand? command = null;
        foreach (string word in before)
        {
            command = table?.Find(word);
            if (word is "help" or "?" && table == Table)
            {
                continue;
            }

            table = command?.Subcommands;
        }

        IEnumerable<string> candidates = table?.Commands.SelectMany(c => c.Names.Split('|')) ?? [];
        if (table == null && command?.Complete is { } complete && before.Length == 1)
        {
            try
            {
                candidates = await complete().ConfigureAwait(false);
            }
            catch (QapiException)
            {
                candidates = [];
            }
        }

        return [.. candidates.Where(c => c.StartsWith(prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
    }

    private async Task<string> Execute(HmpCommandTable table, string line, int position, string prefix)
    {
        HmpArguments.SkipWhite(line, ref position);
        if (position == line.Length)
        {
            return prefix.Length == 0 ? "" : HelpOf(table, prefix);
        }

        // A format may follow the name without a space: x/4xw.
        int start = position;
        while (position < line.Length && !char.IsWhiteSpace(line[position]) && line[position] != '/')
        {
            position++;
        }

        string name = line[start..position];
        if (table.Find(name) is not { } command)
        {
            throw new HmpException($"unknown command: '{prefix}{name}'");
        }

        if (command.Subcommands is { } subcommands)
        {
            return await Execute(subcommands, line, position, $"{prefix}{name} ").ConfigureAwait(false);
        }

        HmpArguments arguments;
        try
        {
            var registers = line.Contains('$', StringComparison.Ordinal) ? await Registers().ConfigureAwait(false) : [];
            arguments = HmpArguments.Parse(command.Names, command.Parameters, line, position, context.LastFormat, registers);
        }
        catch (HmpException e)
        {
            throw new HmpException($"{e.Message}\nTry \"help {prefix}{name}\" for more information");
        }

        if (command.Parameters.Any(p => p.Kind == HmpParameterKind.Format))
        {
            context.LastFormat = arguments.Format;
        }

        return await command.Run(arguments, context).ConfigureAwait(false);
    }

    internal static string HelpOf(HmpCommandTable table, string prefix) =>
        string.Join('\n', table.Commands.Select(c => c.Describe(prefix)));

    // The registers by name in lower case: pc, x0 to x30, sp, pstate, elr_el1 and so on.
    private async Task<Dictionary<string, ulong>> Registers()
    {
        var registers = await commands.Vm.Ask<VcpuRegisters>(new GetVcpuRegisters(context.Cpu)).ConfigureAwait(false);
        var values = new Dictionary<string, ulong>(StringComparer.Ordinal);
        foreach (Match match in RegisterPattern().Matches(registers.Text))
        {
            ulong value = ulong.Parse(match.Groups[2].ValueSpan, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            string name = match.Groups[1].Value.ToLowerInvariant();
            values.TryAdd(name, value);
            if (name is ['x', '0', _])
            {
                values.TryAdd($"x{name[2]}", value);
            }
        }

        return values;
    }

    [GeneratedRegex("([A-Z][A-Z0-9_]*)=([0-9a-f]+)")]
    private static partial Regex RegisterPattern();
}
