using System.Buffers.Binary;

namespace Vmm.Emulation.Migration;

/// <summary>The kinds of records of a migration stream (docs/state.md). Numbers are on the wire: never change one.</summary>
public enum MigrationRecordKind : byte
{
    /// <summary>Sender, first: a <see cref="MigrationHello"/> as JSON.</summary>
    Hello = 1,

    /// <summary>Receiver: RAM may come.</summary>
    Accepted = 2,

    /// <summary>Receiver: it cannot be this machine, or has gone wrong; why, as one line of UTF-8.</summary>
    Refused = 3,

    /// <summary>Pages of RAM. The argument is the number of the first one, from the start of RAM.</summary>
    Pages = 4,

    /// <summary>Pages that are zero. The argument has the number of the first one in its low half, and how many in its high half.</summary>
    ZeroPages = 5,

    /// <summary>The guest stands still, and this is its state: an archive of state units.</summary>
    State = 6,

    /// <summary>Sender: all has been sent.</summary>
    End = 7,

    /// <summary>Receiver: the guest could go on there. From here on it waits for <see cref="Commit"/>.</summary>
    Ready = 8,

    /// <summary>Sender: the guest is the receiver's. The argument is how many nanoseconds it has stood still.</summary>
    Commit = 9,

    /// <summary>Receiver: the guest is there.</summary>
    Running = 10,

    /// <summary>
    /// Pages that the receiver has not, or not as they are last: a bit for each, the least significant of a byte first. The argument is the
    /// number of the page of the first bit, a multiple of 64. The sender says it before <see cref="End"/>, and the receiver when it goes on
    /// with a sender after a lost link.
    /// </summary>
    Missing = 11,

    /// <summary>Receiver: the guest waits for a page. The argument is its number.</summary>
    Request = 12,

    /// <summary>Sender: nothing is missing any more. Receiver: so it is.</summary>
    Complete = 13,

    /// <summary>
    /// Sender, first on a channel of multifd. The argument is the channel's number; the payload is the session of its
    /// <see cref="MigrationHello"/>.
    /// </summary>
    Channel = 14,

    /// <summary>Sender, on the stream and on each channel of multifd: a pass over RAM ends. The argument is its number, from 1.</summary>
    Sync = 15,

    /// <summary>
    /// Pages of RAM as a frame of zstd, on a channel of multifd. The argument has the number of the first one in its low half, and how many
    /// in its high half.
    /// </summary>
    CompressedPages = 16,

    /// <summary>
    /// Sender, before the first pages: those that the first pass will mostly be of, as <see cref="Missing"/> names pages. The receiver may
    /// make room for them; others may come, and some of these may not.
    /// </summary>
    Expected = 17,
}

/// <summary>What stands in front of the payload of each record, in 24 bytes.</summary>
/// <param name="Length">Of the payload, in bytes.</param>
/// <param name="Argument">By the kind.</param>
/// <param name="Checksum">CRC-32C of the payload.</param>
public readonly record struct MigrationRecord(MigrationRecordKind Kind, int Length, ulong Argument, uint Checksum)
{
    public const int HeaderSize = 24;

    /// <summary>The most bytes of RAM in one record.</summary>
    public const int LargestPages = 256 << 10;

    /// <summary>The most bytes of a reason.</summary>
    internal const int LargestReason = 4096;

    private const int LargestHello = 1 << 20;

    // Two banks of flash are 128 MiB of it.
    private const int LargestState = 256 << 20;
    private const int SessionSize = 16;
    private const int ArgumentAt = 8;
    private const int ChecksumAt = 16;
    private const int HeaderChecksumAt = 20;

    internal void Write(Span<byte> header)
    {
        header[..ArgumentAt].Clear();
        header[0] = (byte)Kind;
        BinaryPrimitives.WriteInt32LittleEndian(header[4..], Length);
        BinaryPrimitives.WriteUInt64LittleEndian(header[ArgumentAt..], Argument);
        BinaryPrimitives.WriteUInt32LittleEndian(header[ChecksumAt..], Checksum);
        BinaryPrimitives.WriteUInt32LittleEndian(header[HeaderChecksumAt..], Crc32C.Of(header[..HeaderChecksumAt]));
    }

    /// <exception cref="MigrationException">It is no header, or that of a record that cannot be.</exception>
    internal static MigrationRecord Read(ReadOnlySpan<byte> header)
    {
        if (BinaryPrimitives.ReadUInt32LittleEndian(header[HeaderChecksumAt..]) != Crc32C.Of(header[..HeaderChecksumAt]))
        {
            throw new MigrationException("the migration stream is damaged: the checksum of a record is wrong");
        }

        var record = new MigrationRecord(
            (MigrationRecordKind)header[0],
            BinaryPrimitives.ReadInt32LittleEndian(header[4..]),
            BinaryPrimitives.ReadUInt64LittleEndian(header[ArgumentAt..]),
            BinaryPrimitives.ReadUInt32LittleEndian(header[ChecksumAt..]));
        int largest = record.Kind switch
        {
            MigrationRecordKind.Hello => LargestHello,
            MigrationRecordKind.Refused => LargestReason,
            MigrationRecordKind.Pages or MigrationRecordKind.Missing or MigrationRecordKind.CompressedPages
                or MigrationRecordKind.Expected => LargestPages,
            MigrationRecordKind.Channel => SessionSize,
            MigrationRecordKind.State => LargestState,
            _ => 0,
        };
        return Enum.IsDefined(record.Kind) && record.Length >= 0 && record.Length <= largest ? record
            : throw new MigrationException($"the migration stream has a record that cannot be: kind {header[0]}, {record.Length} bytes");
    }
}
