using System.Globalization;
using Vmm.Management.Commands;
using Vmm.Management.Text;

namespace Vmm.Host.Demo;

/// <summary>A pass of a migration over the RAM.</summary>
/// <param name="Trip">Which migration it belongs to.</param>
/// <param name="Number">From 1.</param>
/// <param name="DirtyPages">Pages that it sent whole.</param>
internal sealed record MigrationPass(string Trip, long Number, long DirtyPages, TimeSpan Time)
{
    /// <summary>Millions of bytes.</summary>
    public double Megabytes => DirtyPages * MigrationCommands.PageSize / 1e6;

    /// <summary>Millions of bytes in a second.</summary>
    public double Speed => Megabytes / Math.Max(Time.TotalSeconds, 0.001);
}

/// <summary>Draws dirty pages and throughput of each pass of some migrations: as text and as SVG.</summary>
internal static class MigrationPicture
{
    private const int Width = 30;

    /// <summary>Lines of text: a bar for the dirty pages, and one for the throughput.</summary>
    public static IEnumerable<string> Text(IReadOnlyCollection<MigrationPass> passes)
    {
        long mostPages = passes.Max(p => p.DirtyPages);
        double mostSpeed = passes.Max(p => p.Speed);
        foreach (IGrouping<string, MigrationPass> trip in passes.GroupBy(p => p.Trip))
        {
            yield return $"{trip.Key,-9}{"pages that were sent",Width + 18}   {"bytes",9} {"took",9} {"MB/s",7}";
            foreach (MigrationPass pass in trip)
            {
                yield return string.Create(CultureInfo.InvariantCulture,
                    $"  pass {pass.Number,-3} {Bar(pass.DirtyPages, mostPages),-Width} {pass.DirtyPages,14}   {pass.Megabytes,6:0.0} MB "
                    + $"{pass.Time.TotalMilliseconds,6:0} ms {pass.Speed,7:0} {Bar(pass.Speed, mostSpeed)}");
            }
        }
    }

    /// <summary>The same as a drawing.</summary>
    public static string Svg(IReadOnlyList<MigrationPass> passes)
    {
        const int Bars = 40, Height = 180, Left = 60, Top = 30;
        long mostPages = Math.Max(1, passes.Max(p => p.DirtyPages));
        double mostSpeed = Math.Max(1, passes.Max(p => p.Speed));
        int right = Left + (Bars * passes.Count) + 80;
        var svg = new SvgDrawing(right, Top + Height + 60);
        svg.Text(Left, 18, $"dirty pages (most: {mostPages})", colour: "#36c");
        svg.Text(Left + 190, 18, string.Create(CultureInfo.InvariantCulture, $"MB/s (most: {mostSpeed:0})"), colour: "#c63");
        svg.Line(Left, Top + Height, right - 20, Top + Height, "#333");
        for (int i = 0; i < passes.Count; i++)
        {
            MigrationPass pass = passes[i];
            int x = Left + (Bars * i) + 4;
            svg.Bar(x, Top + Height, 15, Height * (double)pass.DirtyPages / mostPages, "#36c");
            svg.Bar(x + 16, Top + Height, 15, Height * pass.Speed / mostSpeed, "#c63");
            svg.Text(x + 12, Top + Height + 16, $"{pass.Number}", size: 11);
            if (i == 0 || passes[i - 1].Trip != pass.Trip)
            {
                svg.Text(x, Top + Height + 36, pass.Trip);
            }
        }

        return svg.ToString();
    }

    private static string Bar(double value, double most) => new('#', most > 0 ? (int)Math.Ceiling(Width * value / most) : 0);
}
