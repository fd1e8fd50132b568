namespace Vmm.Emulation.Devices.CfiFlash;

/// <summary>
/// The Intel command set of flash chips (JESD68.01 CFI, command set 1; Intel StrataFlash P30, 9 to 12), and the bank: two 16-bit chips side
/// by side on a 32-bit bus, as QEMU's <c>virt</c> wires them.
/// </summary>
internal static class CfiFlashSpec
{
    /// <summary>Bytes that the two chips erase together.</summary>
    public const int SectorSize = 256 << 10;

    /// <summary>Bytes that the write buffers of the two chips hold: the query says 2¹¹ of each.</summary>
    public const int BufferSize = 2 << 11;

    /// <summary>Bytes of a location of the bus: one word of each chip.</summary>
    public const int BusWidth = 4;

    private const int Chips = 2;

    // Commands.
    public const byte ProgramAlternate = 0x10;
    public const byte EraseSetup = 0x20;
    public const byte Program = 0x40;
    public const byte ClearStatus = 0x50;
    public const byte LockSetup = 0x60;
    public const byte ReadStatus = 0x70;
    public const byte ReadIdentifier = 0x90;
    public const byte ReadQuery = 0x98;
    public const byte BufferedProgram = 0xE8;
    public const byte ReadArray = 0xFF;

    // Second cycles.
    public const byte Confirm = 0xD0;
    public const byte LockBlock = 0x01;
    public const byte LockBlockDown = 0x2F;

    // Status register of each chip.
    public const byte Ready = 0x80;
    public const byte EraseError = 0x20;
    public const byte ProgramError = 0x10;
    public const byte Locked = 0x02;

    // Identifier codes: 16-bit words of each chip, from the start of a block.
    public const int ManufacturerWord = 0;
    public const int DeviceWord = 1;
    public const int BlockLockWord = 2;
    public const ushort Manufacturer = 0x89;
    public const ushort Device = 0x18;

    /// <summary>Block lock configuration: bit 0 locked, bit 1 locked down.</summary>
    public const byte BlockLocked = 1;
    public const byte BlockLockedDown = 3;

    /// <summary>A word of each chip, as the bus shows the same one of both.</summary>
    public static uint OfBoth(ushort word) => word | ((uint)word << 16);

    /// <summary>The bytes of a chip's query structure (JESD68.01, 2; the vendor's table PRI at 0x31), one in each word.</summary>
    /// <param name="bankSize">Bytes of the bank.</param>
    public static byte[] Query(ulong bankSize)
    {
        byte[] query = new byte[0x40];
        int blocks = (int)(bankSize / SectorSize) - 1;
        const int BlockUnits = SectorSize / Chips / 256;
        "QRY"u8.CopyTo(query.AsSpan(0x10));
        query[0x13] = 0x01; // Intel command set
        query[0x15] = 0x31; // its table
        query[0x1B] = 0x45; // Vcc 4.5 V
        query[0x1C] = 0x55; // to 5.5 V
        query[0x1F] = 0x07; // word program 2⁷ µs
        query[0x20] = 0x07; // buffer 2⁷ µs
        query[0x21] = 0x0A; // block erase 2¹⁰ ms
        query[0x23] = 0x04; // at most 2⁴ times as long, each
        query[0x24] = 0x04;
        query[0x25] = 0x04;
        query[0x27] = (byte)ulong.Log2(bankSize / Chips);
        query[0x28] = 0x02; // x8 and x16
        query[0x2A] = (byte)int.Log2(BufferSize / Chips);
        query[0x2C] = 1; // one region of blocks
        query[0x2D] = (byte)blocks;
        query[0x2E] = (byte)(blocks >> 8);
        query[0x2F] = BlockUnits & 0xFF;
        query[0x30] = BlockUnits >> 8;
        "PRI10"u8.CopyTo(query.AsSpan(0x31));
        query[0x3F] = 1; // protection registers
        return query;
    }
}
