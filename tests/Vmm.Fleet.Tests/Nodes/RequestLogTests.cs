using Vmm.Fleet.Messages;
using Vmm.Fleet.Nodes;

namespace Vmm.Fleet.Tests.Nodes;

public sealed class RequestLogTests : IDisposable
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"vmm-requests-{Guid.NewGuid():N}");

    public void Dispose() => File.Delete(_path);

    private static RequestEnded End(string id) => new("vm", id, RequestOutcome.Done, "détail", []);

    [Fact]
    public void What_was_written_is_read()
    {
        using (var log = RequestLog.Read(_path))
        {
            log.Begin(new SaveVm("vm", "a", "tag"));
            log.Begin(new ResizeVm("vm", "b", 3));
            log.End(End("a"));
        }

        using var again = RequestLog.Read(_path);
        Assert.Equal([new ResizeVm("vm", "b", 3)], again.Open);
        Assert.Equal((RequestOutcome.Done, "détail"), (again.EndOf("a")!.Outcome, again.EndOf("a")!.Detail));
        Assert.Null(again.EndOf("b"));
        Assert.True(again.IsOpen("b"));
        Assert.False(again.IsOpen("a"));
    }

    /// <summary>A stop of the machine in the middle of a line, at every byte of it.</summary>
    [Fact]
    public void Line_that_is_cut_off_was_not_written()
    {
        long whole;
        using (var log = RequestLog.Read(_path))
        {
            log.Begin(new SaveVm("vm", "a", "tag"));
            whole = new FileInfo(_path).Length;
            log.End(End("a"));
        }

        byte[] bytes = File.ReadAllBytes(_path);
        for (int length = (int)whole; length < bytes.Length; length++)
        {
            File.WriteAllBytes(_path, bytes[..length]);
            using (var log = RequestLog.Read(_path))
            {
                Assert.Single(log.Open);
                log.End(End("a"));
            }

            Assert.Equal(bytes, File.ReadAllBytes(_path));
        }
    }

    [Theory]
    [InlineData("save {}\n")]
    [InlineData("nothing\n")]
    [InlineData("unknown {}\n")]
    [InlineData("report? {\"Vm\":\"a\"}\n")]
    public void Damage_is_told_with_its_line(string text)
    {
        File.WriteAllText(_path, text);
        Assert.Contains("is damaged in line 1", Assert.Throws<IOException>(() => RequestLog.Read(_path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Old_ends_are_dropped_while_the_node_runs()
    {
        File.AppendAllLines(_path, Enumerable.Range(0, 3999).Select(i =>
            $$"""ended {"Vm":"vm","Id":"r{{i}}","Outcome":"Done","Detail":"","Cpus":[]}"""));
        using (var log = RequestLog.Read(_path))
        {
            foreach (string id in new[] { "a", "b" })
            {
                log.Begin(new SaveVm("vm", id, "tag"));
                log.End(End(id));
            }
        }

        Assert.InRange(File.ReadLines(_path).Count(), 1000, 1004);
        using var again = RequestLog.Read(_path);
        Assert.Empty(again.Open);
        Assert.NotNull(again.EndOf("a"));
        Assert.NotNull(again.EndOf("b"));
        Assert.NotNull(again.EndOf("r3998"));
    }

    [Fact]
    public void Old_ends_are_dropped_and_what_is_open_stays()
    {
        using (var log = RequestLog.Read(_path))
        {
            log.Begin(new SaveVm("vm", "open", "tag"));
        }

        // As many as a fast disk writes in a test.
        File.AppendAllLines(_path, Enumerable.Range(0, 4500).Select(i =>
            $$"""ended {"Vm":"vm","Id":"r{{i}}","Outcome":"Done","Detail":"","Cpus":[]}"""));
        using (var log = RequestLog.Read(_path))
        {
            Assert.Null(log.EndOf("r100"));
            Assert.NotNull(log.EndOf("r4499"));
            log.End(End("last"));
        }

        Assert.Equal(1002, File.ReadLines(_path).Count());
        using var again = RequestLog.Read(_path);
        Assert.Equal([new SaveVm("vm", "open", "tag")], again.Open);
        Assert.NotNull(again.EndOf("last"));
    }
}
