using Vmm.Management.Text;

namespace Vmm.Fleet.Scaling.Simulation;

/// <summary>Draws load and CPUs over time, with the decisions.</summary>
public static class ScalingPicture
{
    private const int Left = 50, Top = 40, Wide = 900, High = 220;
    private const string Demand = "#c63", Busy = "#fc9", Enabled = "#36c", Ink = "#333", Grid = "#ddd";

    /// <summary>An SVG file.</summary>
    public static string Svg(string title, SimulationResult result)
    {
        IReadOnlyList<SimulationPoint> points = result.Points;
        double seconds = points[^1].Seconds;
        int most = (int)Math.Ceiling(Math.Max(points.Max(p => p.Enabled), points.Max(p => p.Demand)));
        double X(double time) => Left + (Wide * time / seconds);
        double Y(double cpus) => Top + High - (High * Math.Min(cpus, most) / most);

        var svg = new SvgDrawing(Left + Wide + 30, Top + High + 60);
        svg.Text(Left, 16, title, size: 14);
        svg.Text(Left, 32, "asked for", colour: Demand);
        svg.Text(Left + 70, 32, "busy", colour: Busy);
        svg.Text(Left + 110, 32, "CPUs enabled", colour: Enabled);
        svg.Text(Left + 210, 32, "▲ plug  ▼ unplug", colour: Ink);
        for (int cpus = 0; cpus <= most; cpus += Math.Max(1, most / 8))
        {
            svg.Line(Left, Y(cpus), Left + Wide, Y(cpus), cpus == 0 ? Ink : Grid);
            svg.Text(Left - 24, Y(cpus) + 4, $"{cpus}", size: 11);
        }

        double tick = new[] { 10.0, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400 }.FirstOrDefault(t => seconds / t <= 12, 86400);
        for (double time = 0; time <= seconds; time += tick)
        {
            svg.Line(X(time), Top + High, X(time), Top + High + 4, Ink);
            svg.Text(X(time) - 8, Top + High + 16, $"{TimeSpan.FromSeconds(time):h\\:mm\\:ss}", size: 10);
        }

        svg.Area([.. points.Select(p => (X(p.Seconds), Y(p.Busy)))], Top + High, Busy);
        svg.Path([.. points.Select(p => (X(p.Seconds), Y(p.Demand)))], Demand);
        svg.Path([.. Steps(points).Select(p => (X(p.Seconds), Y(p.Enabled)))], Enabled, width: 2);
        foreach (SimulationPoint point in points.Where(p => p.Decision.Action != ScalingAction.Hold))
        {
            svg.Text(X(point.Seconds) - 5, Top + High + 30, point.Decision.Action == ScalingAction.Plug ? "▲" : "▼", size: 10, colour: Ink);
        }

        svg.Text(Left, Top + High + 50, string.Join("; ", result.InWords()), size: 10);
        return svg.ToString();
    }

    // The corners of the line of enabled CPUs.
    private static IEnumerable<(double Seconds, int Enabled)> Steps(IReadOnlyList<SimulationPoint> points)
    {
        yield return (0, points[0].Enabled);
        for (int i = 1; i < points.Count; i++)
        {
            if (points[i].Enabled != points[i - 1].Enabled)
            {
                yield return (points[i - 1].Seconds, points[i - 1].Enabled);
                yield return (points[i - 1].Seconds, points[i].Enabled);
            }
        }

        yield return (points[^1].Seconds, points[^1].Enabled);
    }
}
