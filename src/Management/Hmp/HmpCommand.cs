namespace Vmm.Management.Hmp;

/// <summary>A command of the monitor for people.</summary>
/// <param name="Names">The name and its other names, with | between them.</param>
/// <param name="Syntax">Its arguments, as help shows them.</param>
/// <param name="Help">What it does.</param>
/// <param name="Parameters">What its line is read by.</param>
/// <param name="Run">Gives the text of the answer, without a final line end.</param>
public sealed record HmpCommand(string Names, string Syntax, string Help, IReadOnlyList<HmpParameter> Parameters, Func<HmpArguments,
    HmpContext, Task<string>> Run)
{
    /// <summary>What may stand where its arguments do, for completion; null for nothing that is known.</summary>
    public Func<Task<IEnumerable<string>>>? Complete { get; init; }

    /// <summary>Commands behind it (info).</summary>
    public HmpCommandTable? Subcommands { get; init; }

    public bool IsNamed(string name) => Names.Split('|').Contains(name);

    public string Describe(string prefix) => $"{prefix}{Names} {Syntax} -- {Help}";
}

/// <summary>What one monitor keeps between commands.</summary>
public sealed class HmpContext
{
    /// <summary>The CPU that is looked at (cpu N).</summary>
    public int Cpu { get; set; }

    public HmpFormat LastFormat { get; set; } = HmpFormat.Default;

    /// <summary>Lines that were entered; empty without a line editor.</summary>
    public IReadOnlyList<string> History { get; init; } = [];
}

/// <summary>Commands by name.</summary>
public sealed class HmpCommandTable
{
    private readonly List<HmpCommand> _commands = [];

    /// <summary>In the order of help: by name.</summary>
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
