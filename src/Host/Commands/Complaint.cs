namespace Vmm.Host.Commands;

/// <summary>What the program says when something is wrong: one line on stderr.</summary>
public static class Complaint
{
    /// <summary>Writes it, whatever the message has quoted; the exit code is <see cref="ExitCode.BadInput"/>.</summary>
    public static async Task<int> Write(string message)
    {
        string line = string.Concat(message.Select(c => char.IsControl(c) || c is '\u2028' or '\u2029' ? '?' : c));
        await System.Console.Error.WriteLineAsync($"vmm: {line}").ConfigureAwait(false);
        return ExitCode.BadInput;
    }
}
