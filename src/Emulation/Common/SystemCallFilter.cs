using System.Runtime.InteropServices;

namespace Vmm.Emulation;

/// <summary>
/// What a process that a guest's bytes reach gives up, so that a fault in it is of little use (seccomp(2)). A call that was given up fails
/// with EPERM.
/// </summary>
public static unsafe partial class SystemCallFilter
{
    private const int NoNewPrivileges = 38;
    private const int SetFilter = 1;
    private const uint AllThreads = 1;
    private const int SeccompX64 = 317;
    private const int SeccompArm64 = 277;
    private const uint ArchitectureX64 = 0xC000003E;
    private const uint ArchitectureArm64 = 0xC00000B7;

    // Numbers from here on are of another way into x86-64's kernel, x32.
    private const uint FirstX32 = 0x4000_0000;

    // Offsets in struct seccomp_data: the low halves of the arguments follow each other by eight bytes.
    private const uint NumberOffset = 0;
    private const uint ArchitectureOffset = 4;
    private const uint FirstArgument = 16;
    private const uint ThirdArgument = 32;

    // Of classic BPF (linux/bpf_common.h).
    private const ushort LoadWord = 0x20;
    private const ushort JumpIfEqual = 0x15;
    private const ushort JumpIfAtLeast = 0x35;
    private const ushort JumpIfSet = 0x45;
    private const ushort Return = 0x06;

    // SECCOMP_RET_ALLOW, and SECCOMP_RET_ERRNO with EPERM and with ENOSYS.
    private const uint Allow = 0x7FFF_0000;
    private const uint Deny = 0x0005_0001;
    private const uint Unknown = 0x0005_0026;

    private const uint CloneThread = 0x1_0000;

    // O_WRONLY, O_RDWR and O_CREAT.
    private const uint WritingFlags = 0x43;

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

    /// <summary>
    /// Gives groups of calls up, for all threads of the process, and for good. Programs that it starts have no more rights than it either.
    /// </summary>
    /// <returns>False: the host's kernel knows no filters, and the process keeps what it has.</returns>
    public static bool TryEnter(HostCalls denied)
    {
        _ = ControlProcess(NoNewPrivileges, 1, 0, 0, 0);
        bool arm64 = RuntimeInformation.ProcessArchitecture == Architecture.Arm64;
        Instruction[] filter = [.. MakeFilter(denied, arm64)];

        // SAFETY: the program is as long as it is said to be, and the kernel copies it.
        fixed (Instruction* instructions = filter)
        {
            var program = new Program { Length = (ushort)filter.Length, Instructions = instructions };
            return SystemCall(arm64 ? SeccompArm64 : SeccompX64, SetFilter, AllThreads, &program) == 0;
        }
    }

    private static List<Instruction> MakeFilter(HostCalls denied, bool arm64)
    {
        uint NumberOf(HostCall call) => (uint)(arm64 ? call.Arm64 : call.X64);
        List<Instruction> filter =
        [
            new() { Code = LoadWord, Operand = ArchitectureOffset },
            new() { Code = JumpIfEqual, Operand = arm64 ? ArchitectureArm64 : ArchitectureX64, True = 1 },
            new() { Code = Return, Operand = Deny },
            new() { Code = LoadWord, Operand = NumberOffset },
            new() { Code = JumpIfAtLeast, Operand = FirstX32, False = 1 },
            new() { Code = Return, Operand = Deny },
        ];
        foreach (HostCall call in HostCall.All)
        {
            if (denied.HasFlag(call.Group) && NumberOf(call) != uint.MaxValue)
            {
                filter.Add(new() { Code = JumpIfEqual, Operand = NumberOf(call), False = 1 });
                filter.Add(new() { Code = Return, Operand = Deny });
            }
        }

        if (denied.HasFlag(HostCalls.Spawn))
        {
            filter.AddRange(
            [
                new() { Code = JumpIfEqual, Operand = NumberOf(HostCall.Clone3), False = 1 },
                new() { Code = Return, Operand = Unknown },
                new() { Code = JumpIfEqual, Operand = NumberOf(HostCall.CloneTask), False = 4 },
                new() { Code = LoadWord, Operand = FirstArgument },
                new() { Code = JumpIfSet, Operand = CloneThread, True = 1 },
                new() { Code = Return, Operand = Deny },
                new() { Code = Return, Operand = Allow },
            ]);
        }

        if (denied.HasFlag(HostCalls.FileChanges))
        {
            filter.AddRange(
            [
                new() { Code = JumpIfEqual, Operand = NumberOf(HostCall.OpenAt), False = 4 },
                new() { Code = LoadWord, Operand = ThirdArgument },
                new() { Code = JumpIfSet, Operand = WritingFlags, False = 1 },
                new() { Code = Return, Operand = Deny },
                new() { Code = Return, Operand = Allow },
            ]);
        }

        filter.Add(new() { Code = Return, Operand = Allow });
        return filter;
    }

    [LibraryImport("libc", EntryPoint = "prctl")]
    private static partial int ControlProcess(int option, nuint first, nuint second, nuint third, nuint fourth);

    [LibraryImport("libc", EntryPoint = "syscall")]
    private static partial long SystemCall(long number, uint operation, uint flags, Program* program);
}
