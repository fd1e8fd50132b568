using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu.Mmu;

/// <summary>Fault status codes of ESR_ELx.DFSC/IFSC and PAR_EL1.FST (Arm ARM D24.2.40); add the level, 0–3, where there is one.</summary>
internal static class FaultStatus
{
    // Of level -1, the root of tables for 52 bits of address (FEAT_LPA2).
    private const int ExternalAbortOnRootWalk = 0b010011;
    private const int AddressSizeAtRoot = 0b101001;
    private const int TranslationAtRoot = 0b101011;

    public const int AddressSize = 0b000000;
    public const int Translation = 0b000100;
    public const int AccessFlag = 0b001000;
    public const int Permission = 0b001100;
    public const int ExternalAbort = 0b010000;
    public const int ExternalAbortOnWalk = 0b010100;
    public const int TagCheck = 0b010001;
    public const int Alignment = 0b100001;
    public const int Debug = 0b100010;

    /// <summary>A translation, address size or external abort fault at a level from -1 to 3.</summary>
    public static int At(int kind, int level) => level >= 0 ? kind | level : kind switch
    {
        AddressSize => AddressSizeAtRoot,
        Translation => TranslationAtRoot,
        _ => ExternalAbortOnRootWalk,
    };

    /// <summary>Whether a fault is an external abort of the walk.</summary>
    public static bool IsAbortOfWalk(int status) => (status & ~3) == ExternalAbortOnWalk || status == ExternalAbortOnRootWalk;

    /// <summary>No fault of the guest: a page has not arrived (<see cref="MissingPages"/>), and the access is to be repeated.</summary>
    public const int PageMissing = 0b1_0000_0000;

    /// <summary>
    /// An exclusive or atomic access to memory that has none: IMPLEMENTATION DEFINED in the manual, this value as on most CPUs.
    /// </summary>
    public const int UnsupportedExclusive = 0b110101;
}

/// <summary>The kind of an access, by which a translation is checked.</summary>
internal enum AccessType
{
    Read,
    Write,
    Execute,
}

/// <summary>A stage 1 translation of one 4 KiB piece of the address space.</summary>
internal struct Translation
{
    /// <summary>Physical address of the byte that was asked for.</summary>
    public ulong Address;

    /// <summary>The MAIR_EL1 byte: memory type.</summary>
    public byte Attributes;

    /// <summary>SH of the descriptor, for PAR_EL1.</summary>
    public byte Shareability;

    /// <summary>log2 of the size of the page or block.</summary>
    public int SizeBits;

    /// <summary>Whether the translation holds for all ASIDs: nG = 0.</summary>
    public bool Global;

    /// <summary>Whether branch targets are checked (FEAT_BTI): GP of the descriptor.</summary>
    public bool Guarded;

    /// <summary>Whether the view (EL, PAN) that asked may write.</summary>
    public bool Writable;

    /// <summary>Whether the view may read.</summary>
    public bool Readable;

    /// <summary>Whether accesses are checked against the tags of the memory: set by who asked.</summary>
    public bool Checked;

    public readonly bool IsDevice => (Attributes & 0xF0) == 0;
}
