using System.Globalization;
using System.Text;
using Vmm.Management.Commands;

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
        var svg = new StringBuilder();
        void Line(FormattableString line) => svg.Append(FormattableString.Invariant(line)).Append('\n');
        Line($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{right}\" height=\"{Top + Height + 60}\" font-family=\"sans-serif\">");
        Line($"<rect width=\"100%\" height=\"100%\" fill=\"white\"/>");
        Line($"<text x=\"{Left}\" y=\"18\" font-size=\"12\" fill=\"#36c\">dirty pages (most: {mostPages})</text>");
        Line($"<text x=\"{Left + 190}\" y=\"18\" font-size=\"12\" fill=\"#c63\">MB/s (most: {mostSpeed:0})</text>");
        Line($"<line x1=\"{Left}\" y1=\"{Top + Height}\" x2=\"{right - 20}\" y2=\"{Top + Height}\" stroke=\"#333\"/>");
        for (int i = 0; i < passes.Count; i++)
        {
            MigrationPass pass = passes[i];
            int x = Left + (Bars * i) + 4;
            double pages = Height * (double)pass.DirtyPages / mostPages;
            double speed = Height * pass.Speed / mostSpeed;
            Line($"<rect x=\"{x}\" y=\"{Top + Height - pages:0.#}\" width=\"15\" height=\"{pages:0.#}\" fill=\"#36c\"/>");
            Line($"<rect x=\"{x + 16}\" y=\"{Top + Height - speed:0.#}\" width=\"15\" height=\"{speed:0.#}\" fill=\"#c63\"/>");
            Line($"<text x=\"{x + 12}\" y=\"{Top + Height + 16}\" font-size=\"11\">{pass.Number}</text>");
            if (i == 0 || passes[i - 1].Trip != pass.Trip)
            {
                Line($"<text x=\"{x}\" y=\"{Top + Height + 36}\" font-size=\"12\">{pass.Trip}</text>");
            }
        }

        return svg.Append("</svg>\n").ToString();
    }

    private static string Bar(double value, double most) => new('#', most > 0 ? (int)Math.Ceiling(Width * value / most) : 0);
}
