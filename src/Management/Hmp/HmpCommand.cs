namespace Vmm.Management.Hmp;

/// <summary>A command of the monitor for people.</summary>
/// <param name="Names">The name and its synonyms, with | between them.</param>
/// <param name="Syntax">The arguments in the form that help shows.</param>
/// <param name="Help">One line about the command.</param>
/// <param name="Parameters">The parameters that the line is parsed by.</param>
/// <param name="Run">Executes the command and gives the text of the answer, without a final line end.</param>
public sealed record HmpCommand(string Names, string Syntax, string Help, IReadOnlyList<HmpParameter> Parameters, Func<HmpArguments,
    HmpContext, Task<string>> Run)
{
    /// <summary>Gives the candidates that complete the first argument; null if none are known.</summary>
    public Func<Task<IEnumerable<string>>>? Complete { get; init; }

    /// <summary>The table in which the next word is a command, for info; otherwise null.</summary>
    public HmpCommandTable? Subcommands { get; init; }

    public bool IsNamed(string name) => Names.Split('|').Contains(name);

    public string Describe(string prefix) => $"{prefix}{Names} {Syntax} -- {Help}";
}

/// <summary>The state of one monitor between commands.</summary>
public sealed class HmpContext
{
    /// <summary>The CPU that commands about a CPU look at (set by cpu N).</summary>
    public int Cpu { get; set; }

    public HmpFormat LastFormat { get; set; } = HmpFormat.Default;

    /// <summary>
    /// Shows how far a command is, in a line that takes the place of the one before; an empty text takes it away. Null for a monitor at
    /// which commands do not wait.
    /// </summary>
    public Action<string>? Progress { get; init; }

    /// <summary>The lines that were entered; empty without a line editor.</summary>
    public IReadOnlyList<string> History { get; init; } = [];
}

/// <summary>Commands by name.</summary>
public sealed class HmpCommandTable
{
    private readonly List<HmpCommand> _commands = [];

    /// <summary>All commands by name, the order of help.</summary>
    public IReadOnlyList<HmpCommand> Commands => [.. _commands.OrderBy(c => c.Names, StringComparer.Ordinal)];

    public HmpCommand? Find(string name) => _commands.FirstOrDefault(c => c.IsNamed(name));

    public void Add(HmpCommand command) => _commands.Add(command);

    /// <summary>A command without arguments.</summary>
    public void Add(string names, string help, Func<HmpContext, Task<string>> run) =>
        Add(new HmpCommand(names, "", help, [], (_, context) => run(context)));

    public void Add(string names, string syntax, string help, HmpParameter[] parameters, Func<HmpArguments, HmpContext, Task<string>> run,
        Func<Task<IEnumerable<string>>>? complete = null) =>
        Add(new HmpCommand(names, syntax, help, parameters, run) { Complete = complete });
}
