using System.Text.RegularExpressions;

namespace Vmm.Architecture.Tests;

/// <summary>How long lines, files and classes of C# may be.</summary>
public sealed partial class LayoutTests
{
    private const int LongestLine = 140;
    private const int MostLines = 600;
    private const int MostLinesOfClass = 1000;

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

    [Fact]
    public void Lines_end_at_140_columns()
    {
        string[] tooLong = [.. Files().Where(HasLongLine).Select(f => f.Path)];
        Assert.Empty(tooLong);
    }

    [Fact]
    public void Files_have_at_most_600_lines_but_those_of_decode_tables()
    {
        string[] large = [.. Files().Where(f => f.Lines.Length > MostLines && !f.Path.StartsWith(DecodeTables, StringComparison.Ordinal))
            .Select(f => f.Path)];
        Assert.Empty(large);
    }

    /// <summary>A class of several files is as long as these are together.</summary>
    [Fact]
    public void Classes_have_at_most_1000_lines_in_all_their_parts()
    {
        var parts = Files().SelectMany(f => PartialType().Matches(string.Join('\n', f.Lines))
            .Select(m => (Name: $"{Path.GetDirectoryName(f.Path)}/{m.Groups[1].Value}", f.Lines.Length))).ToArray();
        Assert.NotEmpty(parts);
        Assert.Empty(parts.GroupBy(part => part.Name).Where(type => type.Sum(part => part.Length) > MostLinesOfClass)
            .Select(type => type.Key));
    }

    [GeneratedRegex(@"^[a-z ]*\bpartial (?:class|struct|record) (\w+)", RegexOptions.Multiline)]
    private static partial Regex PartialType();
}
