namespace Vmm.Emulation.Interrupts.GicV3;

/// <summary>The GICv3 as its manual has it (GIC architecture specification, IHI 0069).</summary>
public static class GicSpec
{
    /// <summary>Bytes of the distributor frame (12.8).</summary>
    public const ulong DistributorSize = 0x1_0000;

    /// <summary>Bytes of a redistributor: RD_base and SGI_base, 64 KiB each (12.10).</summary>
    public const ulong RedistributorStride = 0x2_0000;
}
