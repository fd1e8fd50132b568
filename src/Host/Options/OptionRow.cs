namespace Vmm.Host.Options;

/// <summary>What an option's value is, for shells that complete it.</summary>
public enum OptionValue
{
    /// <summary>The option stands alone.</summary>
    None,
    Text,
    File,
    Folder,
}

/// <summary>One option of the command line: <c>vmm run --NAME</c> and <c>vmm -NAME</c> are this row.</summary>
/// <param name="Name">Without dashes; the first of <see cref="Aliases"/> if there are several.</param>
/// <param name="Syntax">Of the value, as the help prints it; empty for an option that stands alone.</param>
/// <param name="Help">One line.</param>
/// <param name="Value">What the value is.</param>
/// <param name="Apply">What the options say with this one, from what they said before it and the value, "" for one that stands
/// alone.</param>
public sealed record OptionRow(string Name, string Syntax, string Help, OptionValue Value, Func<RunOptions, string, RunOptions> Apply)
{
    /// <summary>Other names.</summary>
    public IReadOnlyList<string> Aliases { get; init; } = [];

    /// <summary>Values that shells offer.</summary>
    public IReadOnlyList<string> Choices { get; init; } = [];

    /// <summary>An option of QEMU's that is refused, and why; null for one that does something.</summary>
    public string? Refusal { get; init; }

    /// <summary>All names.</summary>
    public IEnumerable<string> Names => Aliases.Prepend(Name);

    public bool TakesValue => Value != OptionValue.None;

    /// <summary>
    /// An option of QEMU's that Vmm lacks: it is known, so that it is refused by name and its value is not taken for another option.
    /// </summary>
    /// <param name="reason">Why, after "not supported: ".</param>
    /// <param name="takesValue">Whether it has a value in QEMU.</param>
    public static OptionRow Refused(string name, string reason, bool takesValue = true) =>
        new(name, "", reason, takesValue ? OptionValue.Text : OptionValue.None, (_, _) =>
            throw new OptionException($"not supported: {reason}")) { Refusal = reason };
}
