namespace Vmm.Emulation.Block;

/// <summary>
/// Why an image cannot be opened or made, as one line: what a message quotes of an image is anybody's, and is shown without control
/// characters and not without end.
/// </summary>
public sealed class BlockException(string message) : Exception(OneLine(message))
{
    private const int Longest = 1000;

    private static string OneLine(string message) => string.Concat(
        message.Take(Longest).Select(c => char.IsControl(c) ? '?' : c)) + (message.Length > Longest ? " …" : "");
}
