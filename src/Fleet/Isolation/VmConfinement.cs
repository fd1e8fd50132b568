using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Nodes;

namespace Vmm.Fleet.Isolation;

/// <summary>
/// What the process of a VM reaches of its host, and how much of it (docs/fleet.md, "Isolation", "Limits"). It holds from the first
/// instruction of the process, which a fault in the VM cannot undo.
/// </summary>
[SuppressMessage("Interoperability", "CA1416", Justification = "Vmm runs on Linux alone.")]
internal sealed class VmConfinement
{
    // Single files of /etc: other files there have passwords and keys.
    private static readonly (HostAccess Access, string[] Paths)[] s_host =
    [
        (HostAccess.Run, ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"]),
        (HostAccess.Read, ["/sys/devices/system", "/sys/fs/cgroup", "/sys/kernel/mm", "/run/systemd/resolve"]),
        (HostAccess.Write, ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"]),
        (HostAccess.Read,
        [
            "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload", "/etc/resolv.conf", "/etc/hosts",
            "/etc/host.conf", "/etc/gai.conf", "/etc/nsswitch.conf", "/etc/services", "/etc/protocols", "/etc/passwd", "/etc/group",
            "/etc/localtime", "/etc/timezone", "/etc/os-release", "/etc/dotnet", "/etc/ssl/openssl.cnf", "/etc/ssl/certs",
            "/etc/pki/tls/certs", "/etc/pki/ca-trust", "/etc/crypto-policies", "/etc/ca-certificates",
        ]),
    ];

    private readonly NodeSettings _settings;
    private readonly VmFolder _folder;
    private readonly VmSpec _spec;

    static VmConfinement()
    {
        // Has .NET's thread for signals made here: it would have the rules of the thread that starts the first process.
        PosixSignalRegistration.Create(PosixSignal.SIGCHLD, _ => { }).Dispose();
    }

    /// <param name="spec">Names images of the host, which the process is given.</param>
    public VmConfinement(NodeSettings settings, VmFolder folder, VmSpec spec) => (_settings, _folder, _spec) = (settings, folder, spec);

    /// <summary>Why processes of VMs reach all files that the node does; null if they do not.</summary>
    /// <exception cref="NodeConfigException">They must not, and the host cannot have it so.</exception>
    public static string? FindGap(IsolationUse use) => (use, Landlock.IsThere) switch
    {
        (IsolationUse.Off, _) => "landlock is off",
        (IsolationUse.Required, false) => throw new NodeConfigException("landlock: the host's kernel has none (Linux 6.2 has)"),
        (_, false) => "the host's kernel has no Landlock (Linux 6.2 has)",
        _ => null,
    };

    /// <summary>
    /// Starts a program, which must wait until it is told to go on: it has its limits when this has ended. The VM's folder must be there.
    /// </summary>
    /// <exception cref="IOException">The kernel refuses rules or limits, or the VM's folder cannot be given to its user.</exception>
    /// <exception cref="UnauthorizedAccessException">The limits are not the node's to set.</exception>
    /// <exception cref="System.ComponentModel.Win32Exception">The program cannot be started.</exception>
    public Process Start(ProcessStartInfo start)
    {
        _folder.Cgroup?.Make(_spec);
        Process child = StartByRules(start);
        try
        {
            _folder.Cgroup?.Add(child.Id);
            return child;
        }
        catch
        {
            child.Kill();
            child.Dispose();
            throw;
        }
    }

    // A thread keeps to the rules for good, so one of its own starts the process, and ends.
    private Process StartByRules(ProcessStartInfo start)
    {
        start.Environment["HOME"] = start.Environment["TMPDIR"] = _folder.State;

        // Who reaches .NET's sockets for debuggers has the process. A node that is started with them has VMs with them.
        start.Environment.TryAdd("DOTNET_EnableDiagnostics", "0");
        if (FindGap(_settings.Landlock) != null)
        {
            return Process.Start(start)!;
        }

        _settings.User?.Own(_folder.Root);
        _settings.User?.Own(_folder.Log);
        _settings.User?.OwnAll(_folder.State);
        using SafeFileHandle rules = Landlock.Make(Rules());
        Process? child = null;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                Landlock.Enter(rules);
                _settings.User?.Become();
                child = Process.Start(start);
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }
        })
        { Name = "start of a VM", IsBackground = true };
        thread.UnsafeStart();
        thread.Join();
        failure?.Throw();
        return child!;
    }

    private IEnumerable<HostRule> Rules() =>
    [
        .. s_host.SelectMany(group => group.Paths.Select(path => new HostRule(group.Access, path))),
        // For root /proc has switches of the whole machine. Others write the names of their threads there.
        new(_settings.User == null && Environment.IsPrivilegedProcess ? HostAccess.Read : HostAccess.Read | HostAccess.WriteFile, "/proc"),
        .. ProgramFolders().Select(folder => new HostRule(HostAccess.Run, folder)),

        // Of the node's notes in the folder it can make none.
        new(HostAccess.Read | HostAccess.MakeSocket | HostAccess.RemoveFile, _folder.Root),
        new(HostAccess.Keep, _folder.State),
        new(HostAccess.Write, _folder.Log),
        .. Of(HostAccess.Read, _settings.Lease?.Path, _settings.Migration?.Folder, _spec.Kernel, _spec.Initrd, _spec.Firmware),
        .. Of(HostAccess.Write | HostAccess.ControlDevice, _spec.Disks),
        .. Of(HostAccess.Read, [.. NotedImages.BackingFiles(_folder, _spec)]),
    ];

    private static IEnumerable<HostRule> Of(HostAccess access, params string?[] paths) =>
        paths.Where(path => !string.IsNullOrEmpty(path)).Select(path => new HostRule(access, path!));

    // The program's own, and that of the .NET runtime with all its shared frameworks: ROOT/shared/NAME/VERSION.
    private IEnumerable<string> ProgramFolders()
    {
        string runtime = Path.TrimEndingDirectorySeparator(RuntimeEnvironment.GetRuntimeDirectory());
        string? shared = Path.GetDirectoryName(Path.GetDirectoryName(runtime));
        yield return Path.GetFileName(shared) == "shared" ? Path.GetDirectoryName(shared)! : runtime;
        foreach (string file in _settings.Program.Where(Path.IsPathRooted))
        {
            yield return Path.GetDirectoryName(File.ResolveLinkTarget(file, returnFinalTarget: true)?.FullName ?? file)!;
        }
    }
}
