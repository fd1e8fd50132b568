using System.Globalization;
using System.Runtime.InteropServices;

namespace Vmm.Emulation.Snapshots;

/// <summary>Names, limits and words of the format that docs/state.md describes.</summary>
public static class SnapshotFormat
{
    /// <summary>The commit of a snapshot: there is one when this file is there.</summary>
    public const string Manifest = "manifest.json";

    /// <summary>The manifest while it is written.</summary>
    public const string NewManifest = "manifest.new";

    /// <summary>A working set while it is written.</summary>
    internal const string NewWorkingSet = "order.new";

    /// <summary>Is there while disks are taken back to the snapshot.</summary>
    internal const string Loading = "loading";

    /// <summary>The longest name that a snapshot may have, in characters.</summary>
    public const int LongestTag = 128;

    /// <summary>The largest manifest, in bytes: that of 512 CPUs with the longest names is far smaller.</summary>
    internal const int LargestManifest = 1 << 20;

    /// <summary>The largest state file, in bytes: two banks of flash and what else there is.</summary>
    internal const int LargestState = 256 << 20;

    internal static string StateOf(int generation) => string.Create(CultureInfo.InvariantCulture, $"state-{generation}");

    internal static string RamOf(int generation) => string.Create(CultureInfo.InvariantCulture, $"ram-{generation}");

    internal static string MapOf(int generation) => string.Create(CultureInfo.InvariantCulture, $"ram-{generation}.map");

    /// <summary>The disks, whose snapshots are to go when this is not the generation of the manifest.</summary>
    internal static string DisksOf(int generation) => string.Create(CultureInfo.InvariantCulture, $"disks-{generation}");

    /// <summary>The working set, which may be missing.</summary>
    internal static string WorkingSetOf(int generation) => string.Create(CultureInfo.InvariantCulture, $"ram-{generation}.order");

    /// <summary>The files that the manifest tells of.</summary>
    internal static IEnumerable<string> FilesOf(int generation) => [StateOf(generation), RamOf(generation), MapOf(generation)];

    /// <summary>How many parents a snapshot may have, one behind the other.</summary>
    internal const int MostParents = 64;

    /// <summary>
    /// Whether a snapshot can have a name: it is a folder's, and no other file of the store's. Letters, digits, '-', '.' and '_', beginning
    /// with a letter or digit.
    /// </summary>
    public static bool IsTag(string tag) => tag.Length is > 0 and <= LongestTag && char.IsAsciiLetterOrDigit(tag[0])
        && tag.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_');

    /// <summary>What a snapshot in a store is called in messages.</summary>
    internal static string NameOf(string tag) => $"snapshot '{tag}'";

    /// <summary>A checksum as the manifest has it.</summary>
    internal static string Text(uint checksum) => checksum.ToString("x8", CultureInfo.InvariantCulture);

    /// <summary>A size for people, in MiB or KiB where it is a whole number of them.</summary>
    public static string Size(ulong bytes) => string.Create(
        CultureInfo.InvariantCulture,
        $"{(bytes % (1 << 20) == 0 ? $"{bytes >> 20} MiB" : bytes % (1 << 10) == 0 ? $"{bytes >> 10} KiB" : $"{bytes} bytes")}");

    /// <summary>What a file says of itself, for a message of one line.</summary>
    internal static string Legible(string text) => string.Concat(text.Where(c => c is >= ' ' and <= '~').Take(200));

    /// <summary>Why the host has refused something, in the words of strerror(3).</summary>
    internal static string Reason(Exception error) => error switch
    {
        FileNotFoundException or DirectoryNotFoundException => "No such file or directory",
        IOException { HResult: > 0 and < 4096 } => Marshal.GetPInvokeErrorMessage(error.HResult),
        _ => error.Message,
    };
}
