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
internal readonly record struct TlbRequest(TlbScope Scope, ulong Va, ushort Asid)
{
    public static TlbRequest All => new(TlbScope.All, 0, 0);

    /// <summary>Decodes the operand of a TLBI: the ASID in bits 63:48, VA[55:12] in bits 43:0.</summary>
    public static TlbRequest FromOperand(TlbScope scope, ulong operand) =>
        new(scope, (ulong)((long)(operand << 20) >> 8), (ushort)(operand >> 48));
}
