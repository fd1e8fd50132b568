using System.Buffers.Binary;
using Vmm.Emulation.Migration;

namespace Vmm.Host.Tests.Migration;

/// <summary>A record of a migration stream.</summary>
internal sealed record Sent(MigrationRecordKind Kind, ulong Argument, byte[] Payload);

/// <summary>Streams of migrations, taken apart and put together, with right checksums.</summary>
internal static class MigrationRecords
{
    public const int MagicSize = 8;

    /// <param name="stream">A whole one, up to its End.</param>
    public static Sent[] Split(byte[] stream)
    {
        var records = new List<Sent>();
        for (int at = MagicSize; at < stream.Length;)
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(stream.AsSpan(at + 4));
            int payload = at + MigrationRecord.HeaderSize;
            records.Add(new Sent(
                (MigrationRecordKind)stream[at], BinaryPrimitives.ReadUInt64LittleEndian(stream.AsSpan(at + 8)),
                stream[payload..(payload + length)]));
            at = payload + length;
        }

        Assert.Equal(MigrationRecordKind.End, records[^1].Kind);
        return [.. records];
    }

    public static byte[] Join(IEnumerable<Sent> records)
    {
        using var stream = new MemoryStream();
        var writer = new MigrationWriter(stream);
        writer.WriteMagic();
        foreach (Sent record in records)
        {
            writer.Write(record.Kind, record.Argument, record.Payload);
        }

        writer.Flush();
        return stream.ToArray();
    }
}
