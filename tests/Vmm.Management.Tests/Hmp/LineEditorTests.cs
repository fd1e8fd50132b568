using System.Text;
using Vmm.Management.Hmp;

namespace Vmm.Management.Tests.Hmp;

public sealed class LineEditorTests
{
    private const string Up = "\e[A";
    private const string Down = "\e[B";
    private const string Right = "\e[C";
    private const string Left = "\e[D";

    private readonly StringBuilder _seen = new();
    private readonly LineEditor _editor;

    public LineEditorTests() => _editor = new LineEditor("> ", text => _seen.Append(text), line => Task.FromResult<IReadOnlyList<string>>(
        [.. new[] { "stop", "system_reset", "system_powerdown" }.Where(c =>
            c.StartsWith(line[(line.LastIndexOf(' ') + 1)..], StringComparison.Ordinal))]));

    [Theory]
    [InlineData("stop\r", "stop")]
    [InlineData("stxo\u007f\u007fop\r", "stop")]
    [InlineData("top\u0001s\r", "stop")]
    [InlineData("top\e[Hs\e[Fx\u0008\r", "stop")]
    [InlineData("sop" + Left + Left + "t\r", "stop")]
    [InlineData("sxtop" + Left + Left + Left + Left + "\e[3~\r", "stop")]
    [InlineData("stop now\u0017\u0017stop\r", "stop")]
    [InlineData("stopxx" + Left + Left + "\u000b\r", "stop")]
    [InlineData("xx stop\u0001" + Right + Right + Right + "\u0015\r", "stop")]
    [InlineData("sto\t\r", "stop ")]
    [InlineData("sys\tr\t\r", "system_reset ")]
    [InlineData("\u0007\u0000stop\r", "stop")]
    [InlineData("\e[99;99;99;99;99;99xstop\r", "stop")]
    [InlineData("s\u0002\u0004stop\r", "stop")]
    [InlineData("cont\u0003stop\r", "stop")]
    [InlineData("cont\u0002\e\u0003stop\r", "stop")]
    [InlineData("cont\e[1\u0003stop\r", "stop")]
    public async Task Keys_make_a_line(string keys, string line) => Assert.Equal([line], await Type(keys));

    [Fact]
    public async Task History_is_walked_and_what_was_begun_comes_back()
    {
        Assert.Equal(["one", "two", "one", "begun", "two"], await Type($"one\rtwo\r{Up}{Up}\rbegun{Up}{Down}\r{Up}{Up}{Up}\r"));
        Assert.Equal(["one", "two", "one", "begun", "two"], _editor.History);
    }

    [Fact]
    public async Task Candidates_are_shown_when_they_have_nothing_more_in_common()
    {
        await Type("system_\t");
        Assert.Contains("\nsystem_reset  system_powerdown\n> system_", _seen.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Line_ends_at_its_limit()
    {
        string line = Assert.Single(await Type(new string('x', 2 * LineEditor.LongestLine) + "\r"));
        Assert.Equal(LineEditor.LongestLine, line.Length);
    }

    [Fact]
    public async Task Interruption_stands_above_the_line()
    {
        await Type("st");
        _seen.Clear();
        _editor.Interrupt("plug of core4 (CPU 4): done");
        Assert.Equal("\r\e[Kplug of core4 (CPU 4): done\n> st", _seen.ToString());
    }

    private async Task<List<string>> Type(string keys)
    {
        var lines = new List<string>();
        foreach (byte key in Encoding.Latin1.GetBytes(keys))
        {
            if (await _editor.Take(key) is { } line)
            {
                lines.Add(line);
            }
        }

        return lines;
    }
}
