namespace Vmm.Architecture.Tests;

/// <summary>How long lines and files of C# may be.</summary>
public sealed class LayoutTests
{
    private const int LongestLine = 140;
    private const int MostLines = 600;

    // Where lines are still longer. The list only shrinks: a folder whose last long line is gone leaves it.
    private static readonly string[] s_stillLong =
    [
        "src/Emulation/Cpu/Jit/",
    ];

    // Files that are still longer.
    private static readonly string[] s_stillLarge = ["src/Emulation/Cpu/Jit/Translator.cs"];

    // A table of encodings is as long as the architecture's.
    private const string DecodeTables = "src/Emulation/Cpu/Decoding/Tables/";

    private static readonly string s_root = Root();

    private static string Root()
    {
        string? folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder!, "Vmm.sln")))
        {
            folder = Path.GetDirectoryName(folder);
        }

        return folder!;
    }

    private static IEnumerable<(string Path, string[] Lines)> Files()
    {
        var all = new EnumerationOptions { RecurseSubdirectories = true };
        return new[] { "src", "tests", "bench" }
            .SelectMany(folder => Directory.EnumerateFiles(Path.Combine(s_root, folder), "*.cs", all))
            .Select(file => Path.GetRelativePath(s_root, file))
            .Where(path => !path.Split('/').Any(part => part is "obj" or "bin"))
            .Select(path => (path, File.ReadAllLines(Path.Combine(s_root, path))));
    }

    private static bool HasLongLine((string Path, string[] Lines) file) => Array.Exists(file.Lines, line => line.Length > LongestLine);

    private static bool IsListed(string path) => Array.Exists(s_stillLong, folder => path.StartsWith(folder, StringComparison.Ordinal));

    [Fact]
    public void Lines_end_at_140_columns()
    {
        string[] tooLong = [.. Files().Where(f => !IsListed(f.Path) && HasLongLine(f)).Select(f => f.Path)];
        Assert.Empty(tooLong);
    }

    [Fact]
    public void Folders_without_a_long_line_leave_the_list()
    {
        string[] tooLong = [.. Files().Where(HasLongLine).Select(f => f.Path)];
        string[] done = [.. s_stillLong.Where(folder => !tooLong.Any(path => path.StartsWith(folder, StringComparison.Ordinal)))];
        Assert.Empty(done);
    }

    [Fact]
    public void Files_have_at_most_600_lines_but_those_of_decode_tables()
    {
        string[] large = [.. Files().Where(f => f.Lines.Length > MostLines && !f.Path.StartsWith(DecodeTables, StringComparison.Ordinal))
            .Select(f => f.Path)];
        Assert.Empty(large.Except(s_stillLarge));
    }
}
