namespace Vmm.Host.Commands;

/// <summary>The message of the program when something is wrong: one line on stderr.</summary>
public static class Complaint
{
    // A longer message quotes a long text. Its beginning and its end are kept, because they say what is wrong.
    private const int LongestEnd = 400;

    /// <summary>Makes the line: control characters that the message quotes are replaced, and a long message is shortened.</summary>
    public static string Line(string message)
    {
        string text = message.Length <= 2 * LongestEnd ? message : $"{message[..LongestEnd]}…{message[^LongestEnd..]}";
        return "vmm: " + string.Concat(text.Select(c => char.IsControl(c) || c is '\u2028' or '\u2029' ? '?' : c));
    }

    /// <summary>Writes the line to stderr.</summary>
    /// <returns><see cref="ExitCode.BadInput"/>.</returns>
    public static async Task<int> Write(string message)
    {
        await System.Console.Error.WriteLineAsync(Line(message)).ConfigureAwait(false);
        return ExitCode.BadInput;
    }
}
