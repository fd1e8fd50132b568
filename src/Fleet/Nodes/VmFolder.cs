using System.Globalization;
using Vmm.Fleet.Isolation;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Nodes;

/// <summary>The files of a VM on its machine.</summary>
/// <param name="Vm">The VM's name.</param>
/// <param name="Root">The folder.</param>
internal sealed record VmFolder(string Vm, string Root)
{
    // The path of a Unix socket and its terminating zero have room for 108 bytes (sun_path of unix(7)).
    private const int LongestSocket = 107;

    /// <summary>Where the VM takes messages (<c>vmm run -control</c>).</summary>
    public string Control => Path.Combine(Root, "control");

    /// <summary>The guest's serial line.</summary>
    public string Console => Path.Combine(Root, "console");

    /// <summary>Where a VM that moves here arrives.</summary>
    public string Incoming => Path.Combine(Root, "incoming");

    /// <summary>What the process prints.</summary>
    public string Log => Path.Combine(Root, "log");

    /// <summary>The state folder of the VM (<c>vmm run -state</c>): its snapshots, and which CPUs are plugged.</summary>
    public string State => Path.Combine(Root, "state");

    /// <summary>The VM's snapshots, each a folder.</summary>
    public string Snapshots => Path.Combine(State, "snapshots");

    /// <summary>The requests and their ends (<see cref="RequestLog"/>).</summary>
    public string Requests => Path.Combine(Root, "requests");

    /// <summary>The times of the vCPUs of the VM's process (<see cref="Vmm.Actors.Vcpu.VcpuMeter"/>).</summary>
    public string Times => Path.Combine(State, "times");

    /// <summary>Who has the guest (<see cref="Vmm.Actors.Migration.MigrationJournalFile"/>).</summary>
    public string Migrations => Path.Combine(State, "migration.db");

    /// <summary>The times of processes that have ended (<see cref="EndedMeters"/>).</summary>
    public string Meters => Path.Combine(Root, "meters");

    /// <summary>The files that its images stand on (<see cref="Vmm.Fleet.Isolation.NotedImages"/>).</summary>
    public string Images => Path.Combine(Root, "images");

    /// <summary>The cgroup of its process; null without one.</summary>
    public VmCgroup? Cgroup { get; init; }

    private string ProcessFile => Path.Combine(Root, "process");

    /// <summary>Why the VM cannot be kept here; null if it can.</summary>
    public string? Problem => Incoming.Length <= LongestSocket ? null
        : $"the path of its sockets would be longer than {LongestSocket} bytes: {Incoming}";

    /// <summary>Which process the VM has or had; null when none was noted.</summary>
    public ProcessIdentity? ReadProcess()
    {
        try
        {
            return File.ReadAllText(ProcessFile).Split(' ', StringSplitOptions.TrimEntries) is [var boot, var id, var start]
                ? new ProcessIdentity(
                    boot, int.Parse(id, CultureInfo.InvariantCulture), long.Parse(start, CultureInfo.InvariantCulture))
                : null;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException or FormatException)
        {
            return null;
        }
    }

    /// <summary>Notes which process the VM has.</summary>
    /// <exception cref="IOException">It cannot be written.</exception>
    public void WriteProcess(ProcessIdentity process)
    {
        string next = $"{ProcessFile}.new";
        File.WriteAllText(
            next, string.Create(CultureInfo.InvariantCulture, $"{process.Boot} {process.Id} {process.StartTime}\n"));
        File.Move(next, ProcessFile, overwrite: true);
    }

    /// <summary>The last line that the process has printed; empty without one.</summary>
    public string LastLine()
    {
        try
        {
            return File.ReadLines(Log).LastOrDefault(line => line.Length > 0) ?? "";
        }
        catch (IOException)
        {
            return "";
        }
    }
}

/// <summary>Which process it is: ids come again, but not with the same start.</summary>
/// <param name="Boot">The boot of the machine (/proc/sys/kernel/random/boot_id).</param>
/// <param name="StartTime">When it was started: ticks since the boot (/proc/PID/stat, field 22).</param>
internal sealed record ProcessIdentity(string Boot, int Id, long StartTime)
{
    private static readonly string s_boot = File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();

    /// <summary>The process that has an id now; null if none has, or if it has ended and nobody has asked how.</summary>
    public static ProcessIdentity? Of(int id)
    {
        try
        {
            string text = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{id}/stat"));

            // proc_pid_stat(5): the name, field 2, is in parentheses and may have any character.
            string[] fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] is "Z" or "X" ? null : new ProcessIdentity(s_boot, id, long.Parse(fields[19], CultureInfo.InvariantCulture));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Whether the process is still there.</summary>
    public bool IsAlive => Of(Id) == this;
}
