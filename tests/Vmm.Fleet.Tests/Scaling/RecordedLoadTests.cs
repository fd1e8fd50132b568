using Vmm.Fleet.Scaling;
using Vmm.Fleet.Scaling.Simulation;
using Xunit.Abstractions;

namespace Vmm.Fleet.Tests.Scaling;

/// <summary>The usual policy over loads of real guests (bench/load-trace).</summary>
public sealed class RecordedLoadTests(ITestOutputHelper output)
{
    private static LoadTrace Read(string name)
    {
        using StreamReader reader = File.OpenText(Path.Combine(AppContext.BaseDirectory, "Scaling", "traces", $"{name}.csv"));
        return LoadTrace.Read(name, reader);
    }

    private SimulationResult Run(string name, GuestModel? guest = null, int allowance = int.MaxValue)
    {
        SimulationResult result = ScalingSimulation.Run(new SimulationOptions
        {
            Policy = new ScalingPolicy { Maximum = 4 }, Trace = Read(name), Guest = guest ?? new GuestModel(), Allowance = allowance,
        });
        output.WriteLine($"[figure] {name}: {string.Join("; ", result.InWords())}");
        return result;
    }

    [Theory]
    [InlineData("build")]
    [InlineData("web")]
    [InlineData("idle")]
    public void Each_load_is_followed_within_5_seconds_with_at_most_4_changes_in_10_minutes(string name)
    {
        SimulationResult result = Run(name);
        Assert.InRange(result.SlowestPlug, 0, 5);
        Assert.InRange(result.MostChanges, 0, 4);
        Assert.All(result.Points, point => Assert.InRange(point.Enabled, 1, 4));
        Assert.True(result.EnabledSeconds < result.StaticSeconds);
    }

    [Fact]
    public void A_build_has_all_CPUs_soon() =>
        Assert.Contains(Run("build").Points, point => point.Seconds < 60 && point.Enabled == 4);

    [Theory]
    [InlineData("build", 2)]
    [InlineData("web", 3)]
    public void The_quota_is_kept(string name, int allowance) =>
        Assert.All(Run(name, allowance: allowance).Points, point => Assert.InRange(point.Enabled, 1, allowance));

    [Theory]
    [InlineData("build")]
    [InlineData("web")]
    public void A_guest_that_refuses_is_left_alone(string name)
    {
        SimulationResult result = Run(name, new GuestModel { UnplugRefused = 1 });
        Assert.InRange(result.MostChanges, 0, 4);
    }

    /// <summary>The picture is one that others can read, and has the decisions.</summary>
    [Fact]
    public void A_simulation_can_be_drawn()
    {
        SimulationResult result = Run("build");
        var svg = System.Xml.Linq.XDocument.Parse(ScalingPicture.Svg("build & link", result));
        string[] texts = [.. svg.Descendants().Where(e => e.Name.LocalName == "text").Select(e => e.Value)];
        Assert.Contains("build & link", texts);
        Assert.Equal(result.Changes, texts.Count(t => t is "▲" or "▼"));
    }

    [Theory]
    [InlineData("", "x has no line of seconds,busy")]
    [InlineData("seconds,busy\n1,2\n1,3\n", "x, line 3: 1 s is not after the line before")]
    [InlineData("1,2\nseconds,busy\n", "x, line 2: 'seconds,busy' is not seconds,busy, as in 12.0,0.85")]
    [InlineData("1,-2\n", "x, line 1: '1,-2' is not seconds,busy, as in 12.0,0.85")]
    [InlineData("1,NaN\n", "x, line 1: '1,NaN' is not seconds,busy, as in 12.0,0.85")]
    [InlineData("1;2\n", "x, line 1: '1;2' is not seconds,busy, as in 12.0,0.85")]
    public void A_trace_that_is_wrong_is_refused_with_its_line(string text, string message) =>
        Assert.Equal(message, Assert.Throws<FormatException>(() => LoadTrace.Read("x", new StringReader(text))).Message);
}
