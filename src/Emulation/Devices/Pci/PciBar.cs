using System.Numerics;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Devices.Pci;

/// <summary>The kind of a base address register (PCI 3.0, 6.2.5.1), as its lowest bits have it.</summary>
public enum PciBarKind
{
    Memory = 0x0,
    Io = 0x1,
    Memory64 = 0x4,

    /// <summary>Memory above 4 GiB, if there is room, in which reads have no side effects.</summary>
    Prefetchable64 = 0xC,
}

/// <summary>A base address register, and the registers of the function that it places.</summary>
/// <param name="Index">Its number; one of 64 bits takes the next number too.</param>
/// <param name="Size">Bytes that it decodes: a power of two, at least 16 of memory or 4 of I/O.</param>
/// <param name="Registers">The code that handles accesses.</param>
public sealed record PciBar(int Index, PciBarKind Kind, ulong Size, IMmioDevice Registers)
{
    /// <summary>The address of a register that is not placed: behind the last of each space.</summary>
    public const ulong Unplaced = ulong.MaxValue;

    public bool IsIo => Kind == PciBarKind.Io;

    public bool Is64Bits => Kind is PciBarKind.Memory64 or PciBarKind.Prefetchable64;

    /// <summary>Its offset in configuration space.</summary>
    public int Offset => PciSpec.BaseAddress0 + (Index * sizeof(uint));

    /// <summary>The bytes of the register.</summary>
    public int RegisterSize => Is64Bits ? sizeof(ulong) : sizeof(uint);

    /// <summary>The register: the guest can write the bits above the size, which is how it learns the size.</summary>
    public PciRegister Register
    {
        get
        {
            if (!BitOperations.IsPow2(Size) || Size < (IsIo ? 4u : 16u))
            {
                throw new InvalidOperationException($"BAR {Index} cannot have {Size} bytes");
            }

            return new PciRegister(Offset, RegisterSize, (ulong)Kind, 0ul - Size);
        }
    }

    /// <summary>The address that the guest has given it.</summary>
    public ulong AddressIn(PciConfigSpace config) => config.Get(Offset, RegisterSize) & (0ul - Size);
}
