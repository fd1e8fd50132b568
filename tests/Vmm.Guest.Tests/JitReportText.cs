using System.Globalization;
using System.Text.RegularExpressions;

namespace Vmm.Guest.Tests;

/// <summary>Figures of the text of <c>info jit</c>.</summary>
internal static partial class JitReportText
{
    /// <summary>How often a part of the code cache was given up because its room was full.</summary>
    public static long CodeGivenUp(this string report) =>
        long.Parse(CodeCache().Match(report).Groups[1].Value, NumberStyles.AllowThousands, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"a part given up ([\d,]+) times")]
    private static partial Regex CodeCache();
}
