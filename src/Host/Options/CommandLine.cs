using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// Parses the options of <c>vmm run</c> in QEMU's form: one or two dashes, the value in the next argument. <c>--name=value</c> is accepted
/// too. A later option of the same name adds to an earlier one or replaces it, as in QEMU.
/// </summary>
public static class CommandLine
{
    /// <summary>Whether the arguments are QEMU's form of <c>vmm run</c>, which begins with an option.</summary>
    public static bool IsRun(IReadOnlyList<string> arguments) => arguments is [['-', ..], ..];

    /// <exception cref="OptionException">One line that says which argument is wrong, and how.</exception>
    public static RunOptions Parse(IReadOnlyList<string> arguments)
    {
        var options = new RunOptions();
        for (int i = 0; i < arguments.Count && options.Answer == null; i++)
        {
            (OptionRow row, string? value) = Find(arguments[i]);
            if (row.TakesValue && value == null)
            {
                value = ++i < arguments.Count ? arguments[i]
                    : throw new OptionException($"{UserText.Legible(arguments[i - 1])}: requires an argument");
            }

            try
            {
                options = row.Apply(options, value ?? "");
            }
            catch (OptionException e)
            {
                string echo = row.Refusal == null && value is { Length: > 0 } ? $" {UserText.Legible(value)}" : "";
                throw new OptionException($"-{row.Name}{echo}: {e.Message}");
            }
        }

        return options.Answer == null ? options.Complete() : options;
    }

    // Finds the row of an argument, and its value if the argument contains one.
    private static (OptionRow Row, string? Value) Find(string argument)
    {
        if (!argument.StartsWith('-'))
        {
            throw new OptionException($"{UserText.Legible(argument)}: a disk image needs an option: give -drive file=F,format=raw|qcow2");
        }

        string name = argument.StartsWith("--", StringComparison.Ordinal) ? argument[2..] : argument[1..];
        int equals = argument.StartsWith("--", StringComparison.Ordinal) ? name.IndexOf('=', StringComparison.Ordinal) : -1;
        string? value = equals < 0 ? null : name[(equals + 1)..];
        OptionRow? row = OptionTable.Find(equals < 0 ? name : name[..equals]);
        return row == null || (value != null && !row.TakesValue)
            ? throw new OptionException($"{UserText.Legible(argument)}: invalid option")
            : (row, value);
    }
}
