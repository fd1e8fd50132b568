namespace Vmm.Emulation.Boards;

/// <summary>What takes the messages of PCI devices (<c>-machine msi=</c>).</summary>
public enum MsiController
{
    /// <summary>Nothing: devices have their four interrupts alone.</summary>
    None,

    /// <summary>An Interrupt Translation Service, which makes LPIs of them.</summary>
    Its,

    /// <summary>A GICv2m frame, which makes SPIs of them.</summary>
    GicV2m,
}
