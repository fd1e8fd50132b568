using System.Globalization;
using System.Runtime.InteropServices;

namespace Vmm.Emulation;

/// <summary>Threads, as the host's kernel knows them.</summary>
public static unsafe partial class HostThread
{
    // sched_setattr(2); its number is the same on no two kinds of host.
    private const int SetAttributesX64 = 314;
    private const int SetAttributesArm64 = 274;

    /// <summary>The length of the slices that the host gives without being asked.</summary>
    public const ulong HostsOwn = 0;

    // Linux keeps 15 letters of ".NET Tiered Compilation Worker".
    private const string CompilerThread = ".NET Tiered Com";

    // A tenth of the time of a thread of nice 0.
    private const int CompilerNice = 10;

    [ThreadStatic]
    private static bool t_isVcpu;

    /// <summary>The thread's number (gettid(2)).</summary>
    public static int Id => GetThreadId();

    /// <summary>Whether the calling thread runs a vCPU, so that what it does else is time that the guest waits.</summary>
    public static bool IsVcpu => t_isVcpu;

    /// <summary>The calling thread runs a vCPU from now on.</summary>
    public static void BecomeVcpu() => t_isVcpu = true;

    /// <summary>
    /// Asks for slices of time of a length in nanoseconds (100,000 to 100,000,000, or <see cref="HostsOwn"/>) for the calling thread and
    /// for those that it starts later (sched_setattr(2), <c>sched_runtime</c> under SCHED_OTHER). From Linux 6.12 on a thread that wakes
    /// runs at once where it asks for shorter slices than the one that runs. A thread's share of the processor stays the same. An older
    /// kernel takes no notice.
    /// </summary>
    public static void AskForSlices(ulong nanoseconds)
    {
        var attributes = new SchedulingAttributes
        {
            Size = (uint)sizeof(SchedulingAttributes),
            Nice = GetPriority(0, 0),
            Runtime = nanoseconds,
        };
        bool arm64 = RuntimeInformation.ProcessArchitecture == Architecture.Arm64;

        // SAFETY: the structure is of this frame.
        _ = SystemCall(arm64 ? SetAttributesArm64 : SetAttributesX64, 0, &attributes, 0);
    }

    /// <summary>
    /// Asks the host to run the thread of the .NET runtime that compiles methods anew, because they are used much, only a little while all
    /// processors are busy (setpriority(2)). It ends when it has had nothing to do for some seconds; the next one is as any other thread.
    /// </summary>
    public static void LetCompilerYield()
    {
        try
        {
            foreach (string task in Directory.EnumerateDirectories("/proc/self/task"))
            {
                if (File.ReadAllText($"{task}/comm").StartsWith(CompilerThread, StringComparison.Ordinal))
                {
                    _ = SetPriority(0, int.Parse(Path.GetFileName(task), CultureInfo.InvariantCulture), CompilerNice);
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A thread that has ended meanwhile, or a host that does not tell.
        }
    }

    private struct SchedulingAttributes
    {
        public uint Size;
        public uint Policy;
        public ulong Flags;
        public int Nice;
        public uint Priority;
        public ulong Runtime;
        public ulong Deadline;
        public ulong Period;
    }

    [LibraryImport("libc", EntryPoint = "gettid")]
    private static partial int GetThreadId();

    [LibraryImport("libc", EntryPoint = "getpriority")]
    private static partial int GetPriority(int which, uint who);

    [LibraryImport("libc", EntryPoint = "setpriority")]
    private static partial int SetPriority(int which, int who, int nice);

    [LibraryImport("libc", EntryPoint = "syscall")]
    private static partial long SystemCall(long number, int thread, SchedulingAttributes* attributes, uint flags);
}
