namespace Vmm.Emulation;

/// <summary>Groups of system calls of the host that a process can give up (<see cref="SystemCallFilter"/>).</summary>
[Flags]
public enum HostCalls
{
    None = 0,

    /// <summary>What administers a machine or looks into other processes.</summary>
    Administration = 1,

    /// <summary>What Linux keeps for programs of old.</summary>
    Obsolete = 2,

    /// <summary>What makes the process another user's, or another session's.</summary>
    ElevatePrivileges = 4,

    /// <summary>What starts programs. Threads can still be made.</summary>
    Spawn = 8,

    /// <summary>
    /// What changes how urgent threads are. The processors on which they run are left out: .NET sets them for each thread that it makes.
    /// </summary>
    ResourceControl = 16,

    /// <summary>What makes, changes or removes files by name.</summary>
    FileChanges = 32,
}

/// <summary>A system call of Linux (syscalls(2)).</summary>
/// <param name="Group">The one group that it is of.</param>
/// <param name="X64">Its number on x86-64; -1 where there is none.</param>
/// <param name="Arm64">Its number on arm64; -1 where there is none.</param>
public readonly record struct HostCall(HostCalls Group, string Name, int X64, int Arm64)
{
    /// <summary>The calls of each group that are denied whatever their arguments are.</summary>
    public static IReadOnlyList<HostCall> All { get; } =
    [
        .. Of(HostCalls.Administration,
            ("reboot", 169, 142), ("swapon", 167, 224), ("swapoff", 168, 225), ("syslog", 103, 116), ("mount", 165, 40),
            ("umount2", 166, 39), ("pivot_root", 155, 41), ("open_tree", 428, 428), ("move_mount", 429, 429), ("fsopen", 430, 430),
            ("fsconfig", 431, 431), ("fsmount", 432, 432), ("mount_setattr", 442, 442), ("setns", 308, 268), ("unshare", 272, 97),
            ("kexec_load", 246, 104), ("kexec_file_load", 320, 294), ("init_module", 175, 105), ("finit_module", 313, 273),
            ("delete_module", 176, 106), ("bpf", 321, 280), ("perf_event_open", 298, 241), ("ptrace", 101, 117),
            ("process_vm_readv", 310, 270), ("process_vm_writev", 311, 271), ("pidfd_getfd", 438, 438), ("acct", 163, 89),
            ("quotactl", 179, 60), ("settimeofday", 164, 170), ("clock_settime", 227, 112), ("sethostname", 170, 161),
            ("setdomainname", 171, 162), ("vhangup", 153, 58), ("add_key", 248, 217), ("request_key", 249, 218), ("keyctl", 250, 219),
            ("iopl", 172, -1), ("ioperm", 173, -1)),
        .. Of(HostCalls.Obsolete,
            ("uselib", 134, -1), ("ustat", 136, -1), ("sysfs", 139, -1), ("_sysctl", 156, -1), ("create_module", 174, -1),
            ("get_kernel_syms", 177, -1), ("query_module", 178, -1)),
        .. Of(HostCalls.ElevatePrivileges,
            ("setuid", 105, 146), ("setgid", 106, 144), ("setreuid", 113, 145), ("setregid", 114, 143), ("setresuid", 117, 147),
            ("setresgid", 119, 149), ("setfsuid", 122, 151), ("setfsgid", 123, 152), ("setpgid", 109, 154), ("setsid", 112, 157)),
        .. Of(HostCalls.Spawn, ("fork", 57, -1), ("vfork", 58, -1), ("execve", 59, 221), ("execveat", 322, 281)),
        .. Of(HostCalls.ResourceControl,
            ("setpriority", 141, 140), ("sched_setparam", 142, 118), ("sched_setscheduler", 144, 119), ("sched_setattr", 314, 274),
            ("ioprio_set", 251, 30)),
        .. Of(HostCalls.FileChanges,
            ("unlinkat", 263, 35), ("renameat", 264, 38), ("renameat2", 316, 276), ("linkat", 265, 37), ("symlinkat", 266, 36),
            ("mkdirat", 258, 34), ("mknodat", 259, 33), ("truncate", 76, 45), ("fchmodat", 268, 53), ("fchownat", 260, 54),
            ("unlink", 87, -1), ("rename", 82, -1), ("link", 86, -1), ("symlink", 88, -1), ("mkdir", 83, -1), ("rmdir", 84, -1),
            ("mknod", 133, -1), ("chmod", 90, -1), ("chown", 92, -1), ("open", 2, -1), ("creat", 85, -1)),
    ];

    /// <summary>Denied with <see cref="HostCalls.Spawn"/>, unless its first argument has CLONE_THREAD.</summary>
    public static HostCall CloneTask { get; } = new(HostCalls.Spawn, "clone", 56, 220);

    /// <summary>With <see cref="HostCalls.Spawn"/> it is as on a kernel that lacks it: its arguments cannot be looked at.</summary>
    public static HostCall Clone3 { get; } = new(HostCalls.Spawn, "clone3", 435, 435);

    /// <summary>Denied with <see cref="HostCalls.FileChanges"/>, where it opens a file for writing or makes one.</summary>
    public static HostCall OpenAt { get; } = new(HostCalls.FileChanges, "openat", 257, 56);

    private static IEnumerable<HostCall> Of(HostCalls group, params (string Name, int X64, int Arm64)[] calls) =>
        calls.Select(c => new HostCall(group, c.Name, c.X64, c.Arm64));
}
