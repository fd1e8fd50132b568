namespace Vmm.Management.Text;

/// <summary>Text of a person, made fit for a message.</summary>
public static class UserText
{
    private const int LongestEcho = 80;

    /// <summary>The text on one line, without control characters and of bounded length.</summary>
    public static string Legible(string text)
    {
        string line = string.Concat(text.Select(c => char.IsControl(c) || c is '\u2028' or '\u2029' ? '?' : c));
        return line.Length <= LongestEcho ? line : $"{line[..LongestEcho]}…";
    }
}
