using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Vmm.Fleet.Isolation;

/// <summary>
/// Rules that a thread takes upon itself for good, and that hold for all that it starts from then on (landlock(7)): it reaches no files but
/// those of the rules, looks into no process outside, and sends it no signal. It still connects to Unix sockets that have a path.
/// </summary>
internal static class Landlock
{
    // The first version that denies truncate(2) is that of Linux 6.2.
    private const int LeastVersion = 3, DeviceVersion = 5, ScopeVersion = 6;
    private const uint AskForVersion = 1, AskForErrata = 2;

    // Mended: threads of one process may send each other signals, as the collector of .NET does (landlock(7), "errata").
    private const int OwnThreadsErratum = 1 << 1;
    private const ulong AbstractSockets = 1, Signals = 2;
    private const int PathBeneath = 1;
    private const int NoNewPrivileges = 38;

    // O_PATH and O_CLOEXEC.
    private const int PathOnly = 0x28_0000;

    // System calls; they have the same numbers on all architectures.
    private const int CreateRuleset = 444, AddRule = 445, RestrictSelf = 446;

    private static readonly int s_version = (int)SystemCall(CreateRuleset, 0, 0, AskForVersion);

    [StructLayout(LayoutKind.Sequential)]
    private struct RulesetAttributes
    {
        public HostAccess Files;
        public ulong Ports;
        public ulong Scopes;
    }

    [StructLayout(LayoutKind.Sequential, Pack = 1)]
    private struct PathRule
    {
        public HostAccess Allowed;
        public int Parent;
    }

    /// <summary>Whether the host's kernel knows such rules, and they are not switched off.</summary>
    public static bool IsThere => s_version >= LeastVersion;

    /// <summary>Makes rules that hold for nobody yet. A file that is not there has none.</summary>
    /// <exception cref="IOException">The kernel refuses them.</exception>
    public static SafeFileHandle Make(IEnumerable<HostRule> rules)
    {
        HostAccess known = s_version >= DeviceVersion ? HostAccess.All : HostAccess.All & ~HostAccess.ControlDevice;
        var attributes = new RulesetAttributes { Files = known, Scopes = Scopes() };
        var ruleset = new SafeFileHandle(
            (nint)Require(SystemCall(CreateRuleset, ref attributes, (nuint)Marshal.SizeOf<RulesetAttributes>(), 0)), ownsHandle: true);
        try
        {
            foreach (HostRule rule in rules)
            {
                Add(ruleset, rule with { Access = rule.Access & known });
            }

            return ruleset;
        }
        catch
        {
            ruleset.Dispose();
            throw;
        }
    }

    /// <summary>The calling thread keeps to the rules from here on, and never gains privileges by a program that it starts.</summary>
    /// <exception cref="IOException">The kernel refuses it.</exception>
    public static void Enter(SafeFileHandle ruleset)
    {
        Require(ControlProcess(NoNewPrivileges, 1, 0, 0, 0));
        Require(SystemCall(RestrictSelf, ruleset.DangerousGetHandle(), 0, 0));
    }

    private static ulong Scopes()
    {
        if (s_version < ScopeVersion)
        {
            return 0;
        }

        long errata = SystemCall(CreateRuleset, 0, 0, AskForErrata);
        return errata > 0 && (errata & OwnThreadsErratum) != 0 ? AbstractSockets | Signals : AbstractSockets;
    }

    private static void Add(SafeFileHandle ruleset, HostRule rule)
    {
        int file = Open(rule.Path, PathOnly);
        if (file < 0)
        {
            return;
        }

        using var owned = new SafeFileHandle(file, ownsHandle: true);
        var beneath = new PathRule
        {
            Allowed = Directory.Exists(rule.Path) ? rule.Access : rule.Access & HostAccess.OfFile,
            Parent = file,
        };
        Require(SystemCall(AddRule, ruleset.DangerousGetHandle(), PathBeneath, ref beneath, 0));
    }

    private static long Require(long result) => result >= 0 ? result
        : throw new IOException($"Landlock: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");

    [DllImport("libc", EntryPoint = "syscall", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern long SystemCall(long number, nint first, nuint second, uint flags);

    [DllImport("libc", EntryPoint = "syscall", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern long SystemCall(long number, ref RulesetAttributes attributes, nuint size, uint flags);

    [DllImport("libc", EntryPoint = "syscall", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern long SystemCall(long number, nint ruleset, int kind, ref PathRule rule, uint flags);

    [DllImport("libc", EntryPoint = "prctl", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int ControlProcess(int option, nuint first, nuint second, nuint third, nuint fourth);

    [DllImport("libc", EntryPoint = "open", CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);
}
