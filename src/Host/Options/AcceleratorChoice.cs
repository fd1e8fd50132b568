namespace Vmm.Host.Options;

/// <summary>
/// The first engine that this host can, of those that are asked for: by several <c>-accel</c>, or by one with colons between the names.
/// </summary>
public sealed record AcceleratorChoice
{
    private AcceleratorChoice()
    {
    }

    /// <summary>Before any engine is asked for.</summary>
    public static AcceleratorChoice None { get; } = new();

    /// <summary>Where nothing is said.</summary>
    public static AcceleratorChoice Fastest => None.Or(AcceleratorOption.Fastest);

    private AcceleratorOption? Chosen { get; init; }

    // Of the first one that this host cannot.
    private string? Refusal { get; init; }

    /// <exception cref="OptionException">This host can none of them: one line.</exception>
    public AcceleratorOption Engine => Chosen ?? throw new OptionException(Refusal!);

    /// <summary>With others, which count if this host can none of the earlier ones.</summary>
    /// <param name="text">As <see cref="AcceleratorOption.Syntax"/> has it.</param>
    /// <exception cref="OptionException">There is no such engine, or a property is wrong: one line.</exception>
    public AcceleratorChoice Or(string text)
    {
        if (Chosen != null)
        {
            return this;
        }

        int comma = text.IndexOf(',', StringComparison.Ordinal);
        (string names, string properties) = comma < 0 ? (text, "") : (text[..comma], text[comma..]);
        string? refusal = Refusal;
        foreach (string name in names.Split(':'))
        {
            try
            {
                AcceleratorOption chosen = AcceleratorOption.Parse(name + properties);
                return new() { Chosen = refusal == null ? chosen : chosen with { Notice = $"{refusal}: falling back to {name}" } };
            }
            catch (AcceleratorOption.UnavailableException e)
            {
                refusal ??= e.Message;
            }
        }

        return new() { Refusal = refusal };
    }
}
