namespace Vmm.Emulation.Tests.Misbehaviour;

/// <summary>The registers that rule stage 1 translation of EL1&amp;0.</summary>
/// <param name="PhysicalBits">ID_AA64MMFR0_EL1.PARange, in bits.</param>
internal readonly record struct Regime(ulong Sctlr, ulong Tcr, ulong Ttbr0, ulong Ttbr1, int PhysicalBits);

/// <summary>What an access wants.</summary>
internal enum Want
{
    Read,
    Write,
    Execute,
}

/// <summary>
/// Stage 1 translation as the pseudocode of the Arm ARM has it (DDI 0487, J1.1.5: AArch64.S1Translate, AArch64.S1Walk,
/// AArch64.S1DirectBasePermissions), for a CPU with 16 KiB granules, PAN, E0PD, FEAT_TTST, and, where physical addresses have 52 bits,
/// FEAT_LPA, FEAT_LVA and FEAT_LPA2: what tests hold the MMU against. Where the manual leaves a choice, the one of this machine: a TxSZ
/// above 48 (47 with 64 KiB) counts as that, one below the least as a fault where addresses are large, and else as 16; a reserved TGx as
/// 4 KiB.
/// </summary>
internal static class ArchitectureWalk
{
    public const int NoFault = -1;
    public const int AddressSize = 0x00;
    public const int Translation = 0x04;
    public const int AccessFlag = 0x08;
    public const int Permission = 0x0C;
    public const int ExternalAbort = 0x10;
    public const int ExternalAbortOnWalk = 0x14;
    public const int ExternalAbortOnRoot = 0x13;
    public const int AddressSizeAtRoot = 0x29;
    public const int TranslationAtRoot = 0x2B;

    /// <summary>AArch64.BranchAddr: the address that a branch to <paramref name="target"/> puts into the PC.</summary>
    public static ulong BranchAddress(in Regime regime, ulong target)
    {
        bool upper = Bit(target, 55);
        ulong low = target & 0x00FF_FFFF_FFFF_FFFF;
        return !TopByteIgnored(regime, upper) ? target : upper ? low | 0xFF00_0000_0000_0000 : low;
    }

    /// <summary>Returns the fault status code, or <see cref="NoFault"/> and the physical address.</summary>
    /// <param name="read">A descriptor by physical address; null is an external abort.</param>
    public static int Translate(in Regime regime, ulong va, Want want, int level, bool pan, Func<ulong, ulong?> read, out ulong address)
    {
        bool upper = Bit(va, 55);
        int top = TopByteIgnored(regime, upper) ? 55 : 63;
        address = Slice(va, Math.Min(top, 55), 0);
        if (!Bit(regime.Sctlr, 0))
        {
            return Slice(va, top, regime.PhysicalBits) == 0 ? NoFault : AddressSize;
        }

        ulong tcr = regime.Tcr;
        int granule = (upper, Slice(tcr, upper ? 31 : 15, upper ? 30 : 14)) switch
        {
            (false, 1) or (true, 3) => 16,
            (false, 2) or (true, 1) => 14,
            _ => 12,
        };
        bool isLarge = regime.PhysicalBits == 52;
        bool ds = isLarge && Bit(tcr, 59) && granule != 16;
        int least = isLarge && (ds || granule == 16) ? 12 : 16;
        int field = (int)(upper ? Slice(tcr, 21, 16) : Slice(tcr, 5, 0));
        int inputSize = 64 - Math.Min(Math.Max(field, least), granule == 16 ? 47 : 48);
        ulong outside = Slice(va, top, inputSize);
        bool inRange = outside == (upper ? Slice(ulong.MaxValue, top, inputSize) : 0);
        bool walkDisabled = Bit(tcr, upper ? 23 : 7);
        bool el0Denied = level == 0 && Bit(tcr, upper ? 56 : 55);
        if (!inRange || walkDisabled || el0Denied || (isLarge && field < least))
        {
            return Translation;
        }

        int stride = granule - 3;
        int lowerLevels = (inputSize - 1 - granule) / stride;
        int at = 3 - lowerLevels;

        // A table begins at a multiple of its size, and of 64 bytes (D8.2.9).
        int tableBits = Math.Max(inputSize - ((lowerLevels * stride) + granule) + 3, 6);
        ulong ttbr = upper ? regime.Ttbr1 : regime.Ttbr0;
        ulong table = Slice(ttbr, 47, tableBits) << tableBits;
        int outputSize = Math.Min(regime.PhysicalBits,
            Slice(tcr, 34, 32) switch { 0 => 32, 1 => 36, 2 => 40, 3 => 42, 4 => 44, 5 => 48, _ => 52 });
        outputSize = ds || granule == 16 ? outputSize : Math.Min(outputSize, 48);
        table |= outputSize == 52 ? Slice(ttbr, 5, 2) << 48 : 0;
        if (table >> outputSize != 0)
        {
            return AddressSize;
        }

        // The bits of an address that a descriptor has, from a bit on.
        ulong Address(ulong descriptor, int from) => (Slice(descriptor, ds ? 49 : 47, from) << from)
            | (outputSize < 52 ? 0 : ds ? Slice(descriptor, 9, 8) << 50 : Slice(descriptor, 15, 12) << 48);

        bool noEl0 = false;
        bool readOnly = false;
        bool neverEl1 = false;
        bool neverEl0 = false;
        int msb = inputSize - 1;
        while (true)
        {
            int lsb = ((3 - at) * stride) + granule;
            if (read(table | (Slice(va, msb, lsb) << 3)) is not ulong descriptor)
            {
                return at < 0 ? ExternalAbortOnRoot : ExternalAbortOnWalk | at;
            }

            bool leaf = at == 3 ? Slice(descriptor, 1, 0) == 3 : Slice(descriptor, 1, 0) == 1
                && (at == 2 || (at == 1 && (granule == 12 || (granule == 14 ? ds : isLarge))) || (at == 0 && granule == 12 && ds));
            bool isTable = at < 3 && Slice(descriptor, 1, 0) == 3;
            if (!leaf && !isTable)
            {
                return at < 0 ? TranslationAtRoot : Translation | at;
            }

            if (isTable)
            {
                table = Address(descriptor, granule);
                if (table >> outputSize != 0)
                {
                    return at < 0 ? AddressSizeAtRoot : AddressSize | at;
                }

                noEl0 |= Bit(descriptor, 61);
                readOnly |= Bit(descriptor, 62);
                neverEl1 |= Bit(descriptor, 59);
                neverEl0 |= Bit(descriptor, 60);
                at++;
                msb = lsb - 1;
                continue;
            }

            ulong output = Address(descriptor, lsb);
            if (output >> outputSize != 0)
            {
                return AddressSize | at;
            }

            if (!Bit(descriptor, 10))
            {
                return AccessFlag | at;
            }

            address = output | Slice(va, lsb - 1, 0);
            bool el0 = Bit(descriptor, 6) && !noEl0;
            bool writable = !Bit(descriptor, 7) && !readOnly;
            bool writeNever = Bit(regime.Sctlr, 19);
            bool allowed = (level, want) switch
            {
                (0, Want.Read) => el0,
                (0, Want.Write) => el0 && writable,
                (0, Want.Execute) => !Bit(descriptor, 54) && !neverEl0 && !(writeNever && el0 && writable),
                (_, Want.Read) => !(pan && el0),
                (_, Want.Write) => writable && !(pan && el0),
                _ => !Bit(descriptor, 53) && !neverEl1 && !(el0 && writable) && !(writeNever && writable),
            };
            return allowed ? NoFault : Permission | at;
        }
    }

    private static bool TopByteIgnored(in Regime regime, bool upper) => Bit(regime.Tcr, upper ? 38 : 37);

    private static bool Bit(ulong value, int bit) => ((value >> bit) & 1) != 0;

    // value<high:low>, empty when high is below low.
    private static ulong Slice(ulong value, int high, int low) =>
        high < low ? 0 : (value >> low) & (ulong.MaxValue >> (63 - (high - low)));
}
