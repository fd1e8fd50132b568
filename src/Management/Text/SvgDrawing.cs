using System.Security;
using System.Text;

namespace Vmm.Management.Text;

/// <summary>A drawing as SVG (W3C SVG 1.1): white ground, points from the upper left corner, colours as in CSS.</summary>
public sealed class SvgDrawing
{
    private readonly StringBuilder _svg = new();

    public SvgDrawing(int width, int height)
    {
        Add($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\">");
        Add($"<rect width=\"100%\" height=\"100%\" fill=\"white\"/>");
    }

    public void Text(double x, double y, string text, int size = 12, string colour = "#000") =>
        Add($"<text x=\"{x:0.#}\" y=\"{y:0.#}\" font-size=\"{size}\" fill=\"{colour}\">{SecurityElement.Escape(text)}</text>");

    public void Line(double x1, double y1, double x2, double y2, string colour) =>
        Add($"<line x1=\"{x1:0.#}\" y1=\"{y1:0.#}\" x2=\"{x2:0.#}\" y2=\"{y2:0.#}\" stroke=\"{colour}\"/>");

    /// <summary>A filled rectangle that stands on a line.</summary>
    /// <param name="bottom">The line's y.</param>
    public void Bar(double x, double bottom, double width, double height, string colour) =>
        Add($"<rect x=\"{x:0.#}\" y=\"{bottom - height:0.#}\" width=\"{width:0.#}\" height=\"{height:0.#}\" fill=\"{colour}\"/>");

    /// <summary>A line through points.</summary>
    public void Path(IEnumerable<(double X, double Y)> points, string colour, double width = 1) =>
        Add($"<polyline points=\"{Join(points)}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width:0.#}\"/>");

    /// <summary>What is between a line through points, at least one, and a horizontal line.</summary>
    /// <param name="bottom">The horizontal line's y.</param>
    public void Area(IReadOnlyList<(double X, double Y)> points, double bottom, string colour) =>
        Add($"<polygon points=\"{Join([(points[0].X, bottom), .. points, (points[^1].X, bottom)])}\" fill=\"{colour}\"/>");

    /// <summary>The text of the file.</summary>
    public override string ToString() => $"{_svg}</svg>\n";

    private static string Join(IEnumerable<(double X, double Y)> points) =>
        string.Join(' ', points.Select(p => FormattableString.Invariant($"{p.X:0.#},{p.Y:0.#}")));

    private void Add(FormattableString line) => _svg.Append(FormattableString.Invariant(line)).Append('\n');
}
