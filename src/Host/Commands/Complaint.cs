namespace Vmm.Host.Commands;

/// <summary>What the program says when something is wrong: one line on stderr.</summary>
public static class Complaint
{
    // What is longer quotes something; what it says of that is at its ends.
    private const int LongestEnd = 400;

    /// <summary>The line, whatever the message has quoted.</summary>
    public static string Line(string message)
    {
        string text = message.Length <= 2 * LongestEnd ? message : $"{message[..LongestEnd]}…{message[^LongestEnd..]}";
        return "vmm: " + string.Concat(text.Select(c => char.IsControl(c) || c is '\u2028' or '\u2029' ? '?' : c));
    }

    /// <summary>Writes it; the exit code is <see cref="ExitCode.BadInput"/>.</summary>
    public static async Task<int> Write(string message)
    {
        await System.Console.Error.WriteLineAsync(Line(message)).ConfigureAwait(false);
        return ExitCode.BadInput;
    }
}
