namespace Vmm.Emulation.Cpu.Mmu;

/// <summary>The translations that a TLBI instruction concerns (Arm ARM D8.13.5).</summary>
internal enum TlbScope
{
    /// <summary>VMALLE1: all.</summary>
    All,

    /// <summary>ASIDE1: the non-global ones of an ASID.</summary>
    Asid,

    /// <summary>VAE1, VALE1: those of an address that are global or of an ASID.</summary>
    Address,

    /// <summary>VAAE1, VAALE1: those of an address.</summary>
    AddressAllAsids,
}

/// <summary>One TLBI.</summary>
/// <param name="Va">The address, where the scope has one: bits 55:12, extended.</param>
/// <param name="Asid">The ASID, where the scope has one.</param>
/// <param name="Pages">How many pages from the address on, for scopes that have one.</param>
/// <param name="PageBits">log2 of the size of those.</param>
internal readonly record struct TlbRequest(TlbScope Scope, ulong Va, ushort Asid, int Pages = 1, int PageBits = 12)
{
    public static TlbRequest All => new(TlbScope.All, 0, 0);

    /// <summary>Decodes the operand of a TLBI: the ASID in bits 63:48, VA[55:12] in bits 43:0.</summary>
    public static TlbRequest FromOperand(TlbScope scope, ulong operand) =>
        new(scope, (ulong)((long)(operand << 20) >> 8), (ushort)(operand >> 48));

    /// <summary>Whether all of the pages are in the lower half of the address space.</summary>
    public bool IsLower => (((Va | AddressOf(Pages - 1)) >> 55) & 1) == 0;

    /// <summary>The address of one of the pages.</summary>
    public ulong AddressOf(int page) => Va + ((ulong)page << PageBits);

    /// <summary>
    /// Decodes the operand of a TLBI by range (Arm ARM C5.5, TLBI RVAE1): the ASID in bits 63:48, TG 47:46, SCALE 45:44, NUM 43:39, the
    /// address in granules in bits 36:0. Null where TG is reserved: nothing is meant.
    /// </summary>
    /// <param name="large">TCR_EL1.DS: the address is in units of 64 KiB.</param>
    public static TlbRequest? FromRange(TlbScope scope, ulong operand, bool large)
    {
        int granule = (int)(operand >> 46) & 3;
        int bits = 10 + (2 * granule);
        int pages = ((int)(operand >> 39 & 31) + 1) << ((5 * ((int)(operand >> 44) & 3)) + 1);
        ulong va = (ulong)((long)(operand << 27) >> 27) << (large ? 16 : bits);
        return granule == 0 ? null : new TlbRequest(scope, va, (ushort)(operand >> 48), pages, bits);
    }
}
