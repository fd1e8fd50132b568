using System.Globalization;

namespace Vmm.Management.Commands;

/// <summary>Tables of snapshots for people, in QEMU's layout.</summary>
internal static class SnapshotText
{
    public static readonly string Head = Row("ID", "TAG", "VM_SIZE", "DATE", "VM_CLOCK", "ICOUNT");

    /// <param name="id">Its number in the image; empty for none.</param>
    /// <param name="bytes">Of the machine's state.</param>
    /// <param name="savedAt">Seconds since 1970.</param>
    /// <param name="clock">How long the guest had run.</param>
    /// <param name="instructions">That it had executed; null where they are not counted.</param>
    public static string Row(string id, string name, long bytes, long savedAt, TimeSpan clock, long? instructions) => Row(
        id.Length > 0 ? id : "--", name, Size(bytes),
        DateTimeOffset.FromUnixTimeSeconds(savedAt).ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture),
        string.Create(CultureInfo.InvariantCulture, $"{(long)clock.TotalHours:0000}:{clock:mm\\:ss\\.fff}"),
        instructions?.ToString(CultureInfo.InvariantCulture) ?? "--");

    /// <summary>Bytes as three digits and a unit.</summary>
    public static string Size(long bytes)
    {
        string[] units = ["B", "KiB", "MiB", "GiB", "TiB"];
        double value = bytes;
        int unit = 0;
        for (; value >= 1000 && unit < units.Length - 1; unit++)
        {
            value /= 1024;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{value:G3} {units[unit]}");
    }

    private static string Row(params string[] words) =>
        string.Format(CultureInfo.InvariantCulture, "{0,-7} {1,-16} {2,8} {3,19} {4,15} {5,10}", [.. words]);
}
