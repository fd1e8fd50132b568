using System.Globalization;
using System.Text;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Isolation;

/// <summary>The cgroup of a VM's process (docs/fleet.md, "Limits"). A limit whose controller is not there is left out.</summary>
/// <param name="Folder">Where it is, or will be.</param>
internal sealed record VmCgroup(string Folder)
{
    /// <summary>The file of a cgroup whose lines are its processes, and that takes the id of one that is to be in it.</summary>
    public const string Processes = "cgroup.procs";

    // Of translated code alone there may be 256 MiB. A 32nd of RAM are the tags of MTE; .NET collects hard when 90 % of the limit is in
    // use, and RAM of which all is in use must not be that.
    private const long Overhead = 512L << 20;
    private const int RamPerOverhead = 8;

    // A vCPU is a thread; .NET's pool and collector, the console and migrations have some tens.
    private const int OtherThreads = 512;
    private const int PeriodUs = 100_000;
    private const int WeightOfCpu = 100;
    private const int MostWeight = 10_000;
    private const string Memory = "memory.max";
    private const string Weight = "cpu.weight";

    /// <summary>The limits: names of files in a cgroup, and what is written there.</summary>
    /// <param name="cores">Those of the host. A VM that could not use more than its limit has none.</param>
    public static IReadOnlyList<(string File, string Value)> Limits(VmSpec spec, int cores)
    {
        List<(string, string)> limits =
        [
            (Memory, Text(spec.MemoryBytes + (spec.MemoryBytes / RamPerOverhead) + Overhead)), ("memory.oom.group", "1"),
            ("pids.max", Text(spec.MaxCpus + OtherThreads)), (Weight, WeightOf(spec.Cpus)),
        ];
        if (spec.MaxCpus + 1 < cores)
        {
            limits.Add(("cpu.max", $"{Text((spec.MaxCpus + 1L) * PeriodUs)} {Text(PeriodUs)}"));
        }

        return limits;
    }

    /// <summary>Makes it, with nothing in it.</summary>
    /// <exception cref="IOException">It cannot be made.</exception>
    /// <exception cref="UnauthorizedAccessException">It is not the node's to make.</exception>
    public void Make(VmSpec spec)
    {
        // What it has counted is another process's.
        Remove();
        Directory.CreateDirectory(Folder);
        foreach ((string file, string value) in Limits(spec, Environment.ProcessorCount))
        {
            Set(file, value);
        }
    }

    /// <summary>Puts a process into it.</summary>
    /// <exception cref="IOException">It cannot be put there.</exception>
    /// <exception cref="UnauthorizedAccessException">It is not the node's to put there.</exception>
    public void Add(int process) => Write(Path.Combine(Folder, Processes), Text(process));

    /// <summary>Gives it time in proportion to its CPUs when there is not enough for all VMs. Nothing happens if it is not there.</summary>
    public void Weigh(int cpus)
    {
        try
        {
            Set(Weight, WeightOf(cpus));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The VM has ended meanwhile.
        }
    }

    /// <summary>Why the kernel has killed the process in it; null if it has not.</summary>
    public string? WhyKilled()
    {
        // Linux, Documentation/admin-guide/cgroup-v2.rst, "memory.events": a name and a number in each line.
        const string Kills = "oom_kill ";
        try
        {
            return File.ReadLines(Path.Combine(Folder, "memory.events")).Any(
                line => line.StartsWith(Kills, StringComparison.Ordinal) && line[Kills.Length..] != "0")
                && long.TryParse(File.ReadAllText(Path.Combine(Folder, Memory)), CultureInfo.InvariantCulture, out long limit)
                    ? $"the host killed it: it used more memory than its limit of {Text(limit >> 20)} MiB" : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Removes it if no process is in it. One that stays is removed by the next start of the VM or of the node.</summary>
    public void Remove()
    {
        try
        {
            Directory.Delete(Folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It is not there, or a process is.
        }
    }

    /// <summary>Writes to a file of a cgroup, at once, as the kernel takes it.</summary>
    internal static void Write(string path, string value)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        RandomAccess.Write(file, Encoding.ASCII.GetBytes(value), 0);
    }

    private void Set(string file, string value)
    {
        string path = Path.Combine(Folder, file);
        if (File.Exists(path))
        {
            Write(path, value);
        }
    }

    private static string WeightOf(int cpus) => Text(Math.Clamp(cpus * WeightOfCpu, WeightOfCpu, MostWeight));

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
