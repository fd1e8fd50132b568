namespace Vmm.Emulation.Cpu.Exceptions;

/// <summary>ESR_EL1.EC (Arm ARM D24.2.40).</summary>
internal static class ExceptionClass
{
    public const uint Unknown = 0x00;
    public const uint WfxTrap = 0x01;
    public const uint FpAccess = 0x07;
    public const uint BranchTarget = 0x0D;
    public const uint IllegalState = 0x0E;
    public const uint Svc64 = 0x15;
    public const uint SystemRegister = 0x18;
    public const uint ScalableAccess = 0x19;
    public const uint PointerAuthentication = 0x1C;
    public const uint InstructionAbortLower = 0x20;
    public const uint InstructionAbort = 0x21;
    public const uint PcAlignment = 0x22;
    public const uint DataAbortLower = 0x24;
    public const uint DataAbort = 0x25;
    public const uint SpAlignment = 0x26;
    public const uint MemoryOperation = 0x27;
    public const uint BreakpointLower = 0x30;
    public const uint Breakpoint = 0x31;
    public const uint SoftwareStepLower = 0x32;
    public const uint SoftwareStep = 0x33;
    public const uint WatchpointLower = 0x34;
    public const uint Watchpoint = 0x35;
    public const uint Brk64 = 0x3C;

    /// <summary>ESR.IL: a 32-bit instruction, or one of the classes that always set it.</summary>
    public const uint InstructionLength = 1u << 25;
}
