using System.Runtime.InteropServices;

namespace Vmm.Emulation.Net.User;

/// <summary>
/// What a process that a guest's bytes reach gives up, so that a fault of its library is of little use: it starts no program, writes no
/// file, looks into no process, and leaves no core. Where the host's kernel knows no filters of calls it keeps what it has.
/// </summary>
internal static unsafe partial class Sandbox
{
    private const int CoreLimit = 4;
    private const int NoNewPrivileges = 38;
    private const int SetFilter = 1;
    private const uint AllThreads = 1;
    private const int SeccompX64 = 317;
    private const int SeccompArm64 = 277;
    private const uint ArchitectureX64 = 0xC000003E;
    private const uint ArchitectureArm64 = 0xC00000B7;

    // Offsets in struct seccomp_data.
    private const uint NumberOffset = 0;
    private const uint ArchitectureOffset = 4;
    private const uint ThirdArgument = 32;

    // Of classic BPF (linux/bpf_common.h).
    private const ushort LoadWord = 0x20;
    private const ushort JumpIfEqual = 0x15;
    private const ushort JumpIfSet = 0x45;
    private const ushort Return = 0x06;
    private const uint Allow = 0x7FFF0000;

    // SECCOMP_RET_ERRNO with EACCES.
    private const uint Deny = 0x0005000D;

    // O_WRONLY, O_RDWR and O_CREAT.
    private const uint WritingFlags = 0x43;

    // execve, execveat, ptrace, process_vm_readv, process_vm_writev, unlinkat, renameat, renameat2, linkat, symlinkat, mkdirat, mknodat,
    // truncate, fchmodat, fchownat, mount, bpf, init_module, kexec_load, pidfd_getfd; on x86-64 also unlink, rename, link, symlink, mkdir,
    // rmdir, mknod, chmod, chown, open, creat.
    private static readonly uint[] s_deniedX64 =
    [
        59, 322, 101, 310, 311, 263, 264, 316, 265, 266, 258, 259, 76, 268, 260, 165, 321, 175, 246, 438,
        87, 82, 86, 88, 83, 84, 133, 90, 92, 2, 85,
    ];

    private static readonly uint[] s_deniedArm64 =
        [221, 281, 117, 270, 271, 35, 38, 276, 37, 36, 34, 33, 45, 53, 54, 40, 280, 105, 104, 438];

    private const uint OpenAtX64 = 257;
    private const uint OpenAtArm64 = 56;

    [StructLayout(LayoutKind.Sequential)]
    private struct Instruction
    {
        public ushort Code;
        public byte True;
        public byte False;
        public uint Operand;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Program
    {
        public ushort Length;
        public Instruction* Instructions;
    }

    /// <summary>For all threads of the process, and for good.</summary>
    public static void Enter()
    {
        ulong* none = stackalloc ulong[2];
        (none[0], none[1]) = (0, 0);
        _ = SetLimit(CoreLimit, none);
        _ = ControlProcess(NoNewPrivileges, 1, 0, 0, 0);
        bool arm64 = RuntimeInformation.ProcessArchitecture == Architecture.Arm64;
        Instruction[] filter = MakeFilter(arm64);

        // SAFETY: the program is as long as it is said to be, and the kernel copies it.
        fixed (Instruction* instructions = filter)
        {
            var program = new Program { Length = (ushort)filter.Length, Instructions = instructions };
            _ = SystemCall(arm64 ? SeccompArm64 : SeccompX64, SetFilter, AllThreads, &program);
        }
    }

    private static Instruction[] MakeFilter(bool arm64)
    {
        uint[] denied = arm64 ? s_deniedArm64 : s_deniedX64;
        var filter = new List<Instruction>
        {
            new() { Code = LoadWord, Operand = ArchitectureOffset },
            new() { Code = JumpIfEqual, Operand = arm64 ? ArchitectureArm64 : ArchitectureX64, True = 1 },
            new() { Code = Return, Operand = Deny },
            new() { Code = LoadWord, Operand = NumberOffset },
        };
        filter.AddRange(denied.Select((number, i) => new Instruction
        {
            // To the last instruction.
            Code = JumpIfEqual, Operand = number, True = (byte)(denied.Length - i + 3),
        }));
        filter.AddRange(
        [
            new() { Code = JumpIfEqual, Operand = arm64 ? OpenAtArm64 : OpenAtX64, False = 2 },
            new() { Code = LoadWord, Operand = ThirdArgument },
            new() { Code = JumpIfSet, Operand = WritingFlags, True = 1 },
            new() { Code = Return, Operand = Allow },
            new() { Code = Return, Operand = Deny },
        ]);
        return [.. filter];
    }

    [LibraryImport("libc", EntryPoint = "setrlimit")]
    private static partial int SetLimit(int resource, ulong* limit);

    [LibraryImport("libc", EntryPoint = "prctl")]
    private static partial int ControlProcess(int option, nuint first, nuint second, nuint third, nuint fourth);

    [LibraryImport("libc", EntryPoint = "syscall")]
    private static partial long SystemCall(long number, uint operation, uint flags, Program* program);
}
