namespace Vmm.Benchmarks.Snapshots;

/// <summary>The memory that a process has for itself, by what it is: Private_Dirty of /proc/PID/smaps (proc(5)).</summary>
internal static class PrivateMemory
{
    public const string GuestRam = "guest RAM that was written";

    /// <summary>In KiB.</summary>
    public static Dictionary<string, long> Of(int process)
    {
        var kinds = new Dictionary<string, long>();
        string kind = "";
        foreach (string line in File.ReadLines($"/proc/{process}/smaps"))
        {
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words is ["Private_Dirty:", var kibibytes, "kB"])
            {
                kinds[kind] = kinds.GetValueOrDefault(kind) + long.Parse(kibibytes, System.Globalization.CultureInfo.InvariantCulture);
            }
            else if (words.Length >= 5 && !words[0].EndsWith(':'))
            {
                kind = KindOf(words[1], words.Length > 5 ? words[5] : "");
            }
        }

        return kinds;
    }

    // From the permissions and the path of a mapping.
    private static string KindOf(string permissions, string path) =>
        path.Contains("/ram-", StringComparison.Ordinal) ? GuestRam
        : path.Contains("doublemapper", StringComparison.Ordinal) ? "code and tables of .NET's JIT"
        : path.StartsWith('/') ? "data of programs and libraries"
        : path is "[heap]" ? "malloc: the heap"
        : path.StartsWith("[stack", StringComparison.Ordinal) ? "stack of the main thread"
        : permissions.Contains('x', StringComparison.Ordinal) ? "code that was made at run time"
        : "anonymous: .NET's heaps, guest RAM, thread stacks, malloc";
}
