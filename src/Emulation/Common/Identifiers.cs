namespace Vmm.Emulation;

/// <summary>An address on the guest's physical bus, in bytes.</summary>
public readonly record struct GuestPhysicalAddress(ulong Value)
{
    public static GuestPhysicalAddress operator +(GuestPhysicalAddress a, ulong offset) => new(a.Value + offset);

    public override string ToString() => $"0x{Value:x}";
}

/// <summary>A virtual address in the guest's translation regime, in bytes.</summary>
public readonly record struct GuestVirtualAddress(ulong Value)
{
    public override string ToString() => $"0x{Value:x}";
}

/// <summary>The number of a vCPU in the machine. 0 is the boot CPU. It is also the ACPI processor UID and the hotplug selector.</summary>
public readonly record struct CpuIndex(int Value)
{
    public override string ToString() => $"cpu{Value}";
}

/// <summary>
/// A GICv3 interrupt identifier: SGI 0–15, PPI 16–31, SPI 32–1019, 1020–1023 special (GICv3 specification, section 2.2).
/// </summary>
public readonly record struct IntId(int Value)
{
    /// <summary>The value of ICC_IAR1_EL1 when no interrupt is pending.</summary>
    public static readonly IntId Spurious = new(1023);

    public override string ToString() => $"INTID {Value}";
}

/// <summary>The affinity of a vCPU in the form of MPIDR_EL1: Aff3 in bits 39:32, Aff2–Aff0 in bits 23:0 (Arm ARM, D24.2.113).</summary>
public readonly record struct Mpidr(ulong Affinity)
{
    /// <summary>
    /// The number of CPUs with the same Aff1: the target list of an SGI write has 16 bits (QEMU's <c>virt</c> with GICv3).
    /// </summary>
    public const int CpusPerCluster = 16;

    public const ulong AffinityMask = 0xFF_00FF_FFFF;

    public static Mpidr FromIndex(CpuIndex cpu) =>
        new((uint)(cpu.Value % CpusPerCluster) | ((uint)(cpu.Value / CpusPerCluster) << 8));

    public byte Aff0 => (byte)Affinity;

    public byte Aff1 => (byte)(Affinity >> 8);

    public byte Aff2 => (byte)(Affinity >> 16);

    public byte Aff3 => (byte)(Affinity >> 32);

    public override string ToString() => $"{Aff3}.{Aff2}.{Aff1}.{Aff0}";
}
