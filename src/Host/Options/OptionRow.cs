namespace Vmm.Host.Options;

/// <summary>The kind of an option's value, by which shells complete it.</summary>
public enum OptionValue
{
    /// <summary>The option stands alone.</summary>
    None,
    Text,
    File,
    Folder,
}

/// <summary>One option of the command line, as <c>vmm run --NAME</c> and as <c>vmm -NAME</c>.</summary>
/// <param name="Name">The name without dashes. Other names are in <see cref="Aliases"/>.</param>
/// <param name="Syntax">The form of the value, for the help; empty for an option without a value.</param>
/// <param name="Help">One line about the option.</param>
/// <param name="Value">The kind of the value.</param>
/// <param name="Apply">Makes the new options from the options so far and the value, which is "" for an option without one.</param>
public sealed record OptionRow(string Name, string Syntax, string Help, OptionValue Value, Func<RunOptions, string, RunOptions> Apply)
{
    /// <summary>The other names.</summary>
    public IReadOnlyList<string> Aliases { get; init; } = [];

    /// <summary>The values that shells offer.</summary>
    public IReadOnlyList<string> Choices { get; init; } = [];

    /// <summary>The reason for which an option of QEMU is refused; null for an option that works.</summary>
    public string? Refusal { get; init; }

    /// <summary>All names.</summary>
    public IEnumerable<string> Names => Aliases.Prepend(Name);

    public bool TakesValue => Value != OptionValue.None;

    /// <summary>
    /// An option that QEMU has and Vmm lacks. It is in the table so that it can be refused by name, and so that its value is not taken for
    /// another option.
    /// </summary>
    /// <param name="reason">The reason, which stands after "not supported: ".</param>
    /// <param name="takesValue">Whether the option has a value in QEMU.</param>
    public static OptionRow Refused(string name, string reason, bool takesValue = true) =>
        new(name, "", reason, takesValue ? OptionValue.Text : OptionValue.None, (_, _) =>
            throw new OptionException($"not supported: {reason}")) { Refusal = reason };
}
