namespace Vmm.Host.Options;

/// <summary>
/// The first of several engines that this host can run. The engines come from several <c>-accel</c>, or from one with colons between the
/// names.
/// </summary>
public sealed record AcceleratorChoice
{
    private AcceleratorChoice()
    {
    }

    /// <summary>The choice before any engine is named.</summary>
    public static AcceleratorChoice None { get; } = new();

    /// <summary>The choice if no option names an engine.</summary>
    public static AcceleratorChoice Fastest => None.Or(AcceleratorOption.Fastest);

    private AcceleratorOption? Chosen { get; init; }

    // Why the first engine cannot run on this host.
    private string? Refusal { get; init; }

    /// <exception cref="OptionException">This host can run none of the engines: one line.</exception>
    public AcceleratorOption Engine => Chosen ?? throw new OptionException(Refusal!);

    /// <summary>Adds engines, which count only if this host can run none of the earlier ones.</summary>
    /// <param name="text">One or more engines in the form of <see cref="AcceleratorOption.Syntax"/>.</param>
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
