namespace Vmm.Emulation.Interrupts.GicV3;

/// <summary>
/// Registers and commands of the Interrupt Translation Service (GIC architecture specification, IHI 0069, chapters 5 and 12.18), physical
/// LPIs only. The layout of the tables' entries is the ITS's own: a guest must not look at it (5.1.2).
/// </summary>
internal static class ItsSpec
{
    /// <summary>Bytes of the two frames: control, and translation behind it.</summary>
    public const ulong Size = 0x2_0000;

    public const ulong GITS_CTLR = 0x0000;
    public const ulong GITS_IIDR = 0x0004;
    public const ulong GITS_TYPER = 0x0008;
    public const ulong GITS_CBASER = 0x0080;
    public const ulong GITS_CWRITER = 0x0088;
    public const ulong GITS_CREADR = 0x0090;
    public const ulong GITS_BASER = 0x0100;
    public const ulong GITS_TRANSLATER = 0x1_0040;

    /// <summary>PIDR0: the part number.</summary>
    public const byte Part = 0x94;

    public const uint Enabled = 1;

    /// <summary>GITS_CTLR.Quiescent: no command or message is under way when a register is read.</summary>
    public const uint Quiescent = 1u << 31;

    /// <summary>The bits of a DeviceID, of an EventID and of an ICID.</summary>
    public const int DeviceBits = 16;
    public const int EventBits = 16;
    public const int CollectionBits = 16;

    /// <summary>The INTIDs of LPIs: from the first, and below the end.</summary>
    public const int FirstLpi = 8192;
    public const int EndOfLpis = 1 << 16;

    /// <summary>Bytes of an entry of each table.</summary>
    public const int EntrySize = 8;

    /// <summary>
    /// GITS_TYPER: physical LPIs, size of an ITT's entry, and the numbers of bits above, each less one. CPUs are given by their number
    /// (PTA = 0), and no collections are held in the ITS itself (HCC = 0).
    /// </summary>
    public const ulong Type = 1 | ((EntrySize - 1) << 4) | ((EventBits - 1) << 8) | ((DeviceBits - 1) << 13)
        | ((CollectionBits - 1ul) << 32) | (1ul << 36);

    // GITS_CBASER and GITS_BASER.
    public const ulong Valid = 1ul << 63;
    public const ulong Indirect = 1ul << 62;
    public const ulong QueueWritable = 0xB8EF_FFFF_FFFF_FCFF;
    public const ulong QueueAddress = 0x000F_FFFF_FFFF_F000;
    public const int QueuePage = 0x1000;
    public const ulong TableWritable = 0xF8E0_FFFF_FFFF_FFFF;
    public const ulong DeviceTable = (1ul << 56) | ((EntrySize - 1ul) << 48);
    public const ulong CollectionTable = (4ul << 56) | ((EntrySize - 1ul) << 48);
    public const ulong Page64K = 2ul << 8;
    public const uint SizeMask = 0xFF;

    /// <summary>The offset in the queue: GITS_CWRITER and GITS_CREADR; bit 0 of the second says that a command cannot be done.</summary>
    public const uint QueueOffset = 0xF_FFE0;
    public const uint Stalled = 1;
    public const int CommandSize = 32;

    public const byte MOVI = 0x01;
    public const byte INT = 0x03;
    public const byte CLEAR = 0x04;
    public const byte MAPD = 0x08;
    public const byte MAPC = 0x09;
    public const byte MAPTI = 0x0A;
    public const byte MAPI = 0x0B;
    public const byte INV = 0x0C;
    public const byte INVALL = 0x0D;
    public const byte MOVALL = 0x0E;
    public const byte DISCARD = 0x0F;
}
