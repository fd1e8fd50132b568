using Serilog;
using Vmm.Fleet.Cluster;

namespace Vmm.Fleet.Isolation;

/// <summary>
/// The cgroups of a node's VMs, all in one that somebody else has made beside the node's own: the cgroup of a unit of systemd that the end
/// of the node does not touch (docs/fleet.md, "Limits"). Nothing but cgroup v2 is used (cgroups(7)).
/// </summary>
internal sealed class NodeCgroups
{
    /// <summary>The name of the cgroup that has them all: that of the unit docs/vmm-vms.service.</summary>
    public const string Unit = "vmm-vms.service";

    // The processes of the unit itself: a cgroup that has some lends its controllers to no cgroup in it.
    private const string Holder = "holder";
    private const string Prefix = "vm-";

    private static readonly string[] s_used = ["cpu", "memory", "pids"];

    private readonly string _folder;

    /// <param name="folder">The cgroup that has them all.</param>
    public NodeCgroups(string folder) => _folder = folder;

    /// <summary>Finds and prepares the cgroup that has those of VMs; null if there is none.</summary>
    /// <exception cref="NodeConfigException">There must be one with all controllers, and there is not.</exception>
    public static NodeCgroups? Open(IsolationUse use)
    {
        if (use == IsolationUse.Off)
        {
            return null;
        }

        NodeCgroups? found = null;
        string? gap;
        try
        {
            string? own = FindOwn(File.ReadAllLines("/proc/self/cgroup"), File.ReadAllLines("/proc/self/mountinfo"));
            if (own == null)
            {
                gap = "the node is in no cgroup of version 2 that it sees";
            }
            else
            {
                found = Beside(own, out string[] missing);
                gap = found == null ? $"there is no cgroup {Unit} beside that of the node, {own}"
                    : missing.Length > 0 ? $"{found._folder} has no controller {string.Join(", ", missing)}" : null;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            gap = e.Message;
        }

        if (gap != null && use == IsolationUse.Required)
        {
            throw new NodeConfigException($"cgroup: {gap}");
        }

        if (gap != null)
        {
            Log.Information("Not all limits of VMs are set: {Reason}", gap);
        }

        return found;
    }

    /// <summary>The folder of a process's cgroup.</summary>
    /// <param name="cgroups">The lines of its /proc/PID/cgroup.</param>
    /// <param name="mounts">Those of its /proc/PID/mountinfo.</param>
    /// <returns>Null if it has none, or none that is mounted.</returns>
    public static string? FindOwn(IEnumerable<string> cgroups, IEnumerable<string> mounts)
    {
        // cgroups(7): ID:CONTROLLERS:PATH, with 0 and nothing for version 2.
        const string Version2 = "0::";
        string? path = cgroups.FirstOrDefault(line => line.StartsWith(Version2, StringComparison.Ordinal))?[Version2.Length..];

        // proc_pid_mountinfo(5): ID PARENT DEVICE ROOT POINT OPTIONS … - TYPE SOURCE OPTIONS. What the mount shows begins at ROOT.
        foreach (string[] mount in mounts.Select(line => line.Split(' ')))
        {
            string root = Path.TrimEndingDirectorySeparator(mount[3]);
            if (path != null && mount[^3] == "cgroup2" && $"{path}/".StartsWith(root == "/" ? root : $"{root}/", StringComparison.Ordinal))
            {
                return Path.TrimEndingDirectorySeparator(mount[4] + (root == "/" ? path : path[root.Length..]));
            }
        }

        return null;
    }

    /// <summary>Prepares the cgroup beside another one, and removes what ended VMs have left in it.</summary>
    /// <param name="own">The folder of the node's own cgroup.</param>
    /// <param name="missing">The controllers that it lacks: there are no limits of theirs.</param>
    /// <returns>Null if there is none.</returns>
    /// <exception cref="IOException">It cannot be prepared.</exception>
    /// <exception cref="UnauthorizedAccessException">It is not the node's to prepare, or to move processes into.</exception>
    public static NodeCgroups? Beside(string own, out string[] missing)
    {
        missing = s_used;
        string? parent = Path.GetDirectoryName(own);
        if (parent == null || !Directory.Exists(Path.Combine(parent, Unit)))
        {
            return null;
        }

        // Who moves a process writes in the cgroup that has its old and its new one. Here nothing is written yet.
        File.OpenHandle(Path.Combine(parent, VmCgroup.Processes), FileMode.Open, FileAccess.Write, FileShare.ReadWrite).Dispose();
        string folder = Path.Combine(parent, Unit), holder = Path.Combine(folder, Holder);
        Directory.CreateDirectory(holder);
        foreach (string process in File.ReadAllLines(Path.Combine(folder, VmCgroup.Processes)))
        {
            VmCgroup.Write(Path.Combine(holder, VmCgroup.Processes), process);
        }

        string[] there = File.ReadAllText(Path.Combine(folder, "cgroup.controllers")).Split((char[])[' ', '\n']);
        string[] used = [.. s_used.Intersect(there)];
        missing = [.. s_used.Except(there)];
        if (used.Length > 0)
        {
            VmCgroup.Write(Path.Combine(folder, "cgroup.subtree_control"), $"+{string.Join(" +", used)}");
        }

        foreach (string left in Directory.EnumerateDirectories(folder, $"{Prefix}*"))
        {
            new VmCgroup(left).Remove();
        }

        return new NodeCgroups(folder);
    }

    /// <summary>That of a VM, which may not be there.</summary>
    public VmCgroup Of(string vm) => new(Path.Combine(_folder, $"{Prefix}{vm}"));
}
