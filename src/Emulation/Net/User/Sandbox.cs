using System.Runtime.InteropServices;

namespace Vmm.Emulation.Net.User;

/// <summary>
/// What the process with the network's library gives up: it starts no program, writes no file, looks into no process, and leaves no core.
/// Where the host's kernel knows no filters of calls it keeps what it has.
/// </summary>
internal static unsafe partial class Sandbox
{
    private const int CoreLimit = 4;

    /// <summary>For all threads of the process, and for good.</summary>
    public static void Enter()
    {
        ulong* none = stackalloc ulong[2];
        (none[0], none[1]) = (0, 0);
        _ = SetLimit(CoreLimit, none);
        _ = SystemCallFilter.TryEnter(
            HostCalls.Administration | HostCalls.Obsolete | HostCalls.ElevatePrivileges | HostCalls.Spawn | HostCalls.FileChanges);
    }

    [LibraryImport("libc", EntryPoint = "setrlimit")]
    private static partial int SetLimit(int resource, ulong* limit);
}
