using Vmm.Emulation.Devices;

namespace Vmm.Emulation.Boards;

/// <summary>The addresses and interrupts of those parts of a board that a boot or a description of the hardware names.</summary>
public sealed record BoardMap
{
    /// <summary>First byte of RAM.</summary>
    public required GuestPhysicalAddress Ram { get; init; }

    /// <summary>First byte of each bank of flash; the boot CPU enters firmware at the first of them.</summary>
    public required IReadOnlyList<GuestPhysicalAddress> FlashBanks { get; init; }

    /// <summary>Bytes of a bank of flash.</summary>
    public required ulong FlashBankSize { get; init; }

    /// <summary>The GICv3's distributor frame.</summary>
    public required GuestPhysicalAddress Distributor { get; init; }

    /// <summary>
    /// The regions of redistributors, each with its address and the number of redistributors for which it has room. CPUs fill them in this
    /// order.
    /// </summary>
    public required IReadOnlyList<(GuestPhysicalAddress Address, int Room)> Redistributors { get; init; }

    public required CpuInterrupts CpuInterrupts { get; init; }

    /// <summary>The console.</summary>
    public required Placement Uart { get; init; }

    /// <summary>The clock of the EFI runtime services.</summary>
    public required Placement Rtc { get; init; }

    /// <summary>The pin of the GPIO port that has the power button of a machine without ACPI.</summary>
    public required int PowerButtonPin { get; init; }

    /// <summary>
    /// Spreads the redistributors of a number of CPUs over <see cref="Redistributors"/>: as many in each region as it has room for.
    /// </summary>
    public IEnumerable<(GuestPhysicalAddress Address, int Count)> SpreadRedistributors(int cpus)
    {
        foreach ((GuestPhysicalAddress address, int room) in Redistributors)
        {
            int count = Math.Min(cpus, room);
            if (count > 0)
            {
                yield return (address, count);
            }

            cpus -= count;
        }
    }
}

/// <summary>Private interrupts of each CPU; SBSA and QEMU's <c>virt</c> give the architecture's sources these numbers.</summary>
public sealed record CpuInterrupts(
    IntId Pmu, IntId VirtualGicMaintenance, IntId HypervisorTimer, IntId VirtualTimer, IntId SecurePhysicalTimer, IntId PhysicalTimer);
