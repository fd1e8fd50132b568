using System.Buffers.Binary;
using System.Text;

namespace Vmm.Emulation.Block.Qcow2;

/// <summary>An internal snapshot of an image (QEMU, docs/interop/qcow2.txt, "Snapshots").</summary>
/// <param name="Id">Unique in the image.</param>
/// <param name="Name">What people call it.</param>
/// <param name="Time">When it was taken.</param>
/// <param name="VmClock">How long the guest had run.</param>
/// <param name="VmStateSize">Bytes of the machine's state that are saved with it; 0 for the disk alone.</param>
/// <param name="DiskSize">Bytes.</param>
public sealed record Qcow2Snapshot(
    string Id, string Name, DateTimeOffset Time, TimeSpan VmClock, long VmStateSize, long DiskSize)
{
    // Bytes of an entry before the extra ones, and of these how many are known, and how many there are at least with the disk's size.
    private const int Fixed = 40;
    private const int KnownExtra = 24;
    private const int ExtraWithDiskSize = 16;
    private const ulong NoInstructionCount = ulong.MaxValue;

    /// <summary>Instructions that the guest had executed; null for a guest that counts none.</summary>
    public long? InstructionCount { get; private init; }

    internal long L1Offset { get; private init; }

    internal int L1Size { get; private init; }

    // Its entry in the table, with what of it is not known here, and padded.
    internal byte[] Entry { get; private init; } = [];

    /// <summary>Makes the entry of a new snapshot; the time of an instruction count is that of a guest that counts none.</summary>
    internal static byte[] MakeEntry(
        long l1Offset, int l1Size, string id, string name, DateTimeOffset time, TimeSpan vmClock, long diskSize)
    {
        byte[] words = Encoding.UTF8.GetBytes(id + name);
        byte[] entry = new byte[Padded(Fixed + KnownExtra + words.Length)];
        BinaryPrimitives.WriteInt64BigEndian(entry, l1Offset);
        BinaryPrimitives.WriteInt32BigEndian(entry.AsSpan(8), l1Size);
        BinaryPrimitives.WriteUInt16BigEndian(entry.AsSpan(12), (ushort)Encoding.UTF8.GetByteCount(id));
        BinaryPrimitives.WriteUInt16BigEndian(entry.AsSpan(14), (ushort)Encoding.UTF8.GetByteCount(name));
        BinaryPrimitives.WriteUInt32BigEndian(entry.AsSpan(16), (uint)time.ToUnixTimeSeconds());
        BinaryPrimitives.WriteUInt32BigEndian(
            entry.AsSpan(20), (uint)(time.UtcTicks % TimeSpan.TicksPerSecond * TimeSpan.NanosecondsPerTick));
        BinaryPrimitives.WriteInt64BigEndian(entry.AsSpan(24), vmClock.Ticks * TimeSpan.NanosecondsPerTick);
        BinaryPrimitives.WriteInt32BigEndian(entry.AsSpan(36), KnownExtra);
        BinaryPrimitives.WriteInt64BigEndian(entry.AsSpan(48), diskSize);
        BinaryPrimitives.WriteUInt64BigEndian(entry.AsSpan(56), NoInstructionCount);
        words.CopyTo(entry, Fixed + KnownExtra);
        return entry;
    }

    /// <summary>Reads the snapshots of an image.</summary>
    /// <param name="length">Bytes of their table.</param>
    /// <exception cref="BlockException">The table is damaged.</exception>
    internal static IReadOnlyList<Qcow2Snapshot> ReadAll(Qcow2Layout layout, Qcow2Header header, out long length)
    {
        BlockNode file = layout.File;
        var all = new List<Qcow2Snapshot>();
        Span<byte> start = stackalloc byte[Fixed + KnownExtra];
        long at = header.SnapshotsOffset;
        for (int i = 0; i < header.SnapshotCount; i++)
        {
            string Wrong(string what) => $"'{layout.Name}' is damaged: its snapshot {i} has {what}";
            Read(layout, at, start);
            long l1Offset = BinaryPrimitives.ReadInt64BigEndian(start);
            uint l1Size = BinaryPrimitives.ReadUInt32BigEndian(start[8..]);
            int idLength = BinaryPrimitives.ReadUInt16BigEndian(start[12..]);
            int nameLength = BinaryPrimitives.ReadUInt16BigEndian(start[14..]);
            uint extra = BinaryPrimitives.ReadUInt32BigEndian(start[36..]);
            if (extra > Qcow2Spec.MaxSnapshotExtra || at + Fixed + extra + idLength + nameLength > file.Size)
            {
                throw new BlockException(Wrong("an entry beyond what is valid"));
            }

            if (l1Offset < 0 || l1Offset % layout.ClusterSize != 0 || l1Size > Qcow2Spec.MaxL1Bytes / Qcow2Spec.EntrySize
                || l1Offset + (l1Size * (long)Qcow2Spec.EntrySize) > layout.Clusters(file.Size) << layout.ClusterBits)
            {
                throw new BlockException(Wrong($"an L1 table of {l1Size} entries at 0x{l1Offset:x}"));
            }

            long diskSize = extra >= ExtraWithDiskSize ? BinaryPrimitives.ReadInt64BigEndian(start[48..]) : header.DiskSize;
            if (diskSize < 0 || header.L1EntriesFor(diskSize) > l1Size)
            {
                throw new BlockException(Wrong($"a disk of {diskSize} bytes, which its L1 table does not cover"));
            }

            byte[] entry = new byte[Padded(Fixed + (int)extra + idLength + nameLength)];
            Read(layout, at, entry);
            ReadOnlySpan<byte> words = entry.AsSpan(Fixed + (int)extra);
            uint nanoseconds = BinaryPrimitives.ReadUInt32BigEndian(start[20..]);
            all.Add(new Qcow2Snapshot(
                Encoding.UTF8.GetString(words[..idLength]), Encoding.UTF8.GetString(words.Slice(idLength, nameLength)),
                DateTimeOffset.FromUnixTimeSeconds(BinaryPrimitives.ReadUInt32BigEndian(start[16..])).AddTicks(nanoseconds / 100),
                TimeSpan.FromTicks((long)(BinaryPrimitives.ReadUInt64BigEndian(start[24..]) / 100)),
                extra >= 8 ? BinaryPrimitives.ReadInt64BigEndian(start[40..]) : BinaryPrimitives.ReadUInt32BigEndian(start[32..]), diskSize)
            {
                InstructionCount = extra >= KnownExtra && BinaryPrimitives.ReadUInt64BigEndian(start[56..]) is var count
                    && count != NoInstructionCount ? (long)count : null,
                L1Offset = l1Offset,
                L1Size = (int)l1Size,
                Entry = entry,
            });
            at += entry.Length;
        }

        length = at - header.SnapshotsOffset;
        return all;
    }

    private static int Padded(int length) => (length + 7) & ~7;

    private static void Read(Qcow2Layout layout, long at, Span<byte> bytes)
    {
        Errno error = layout.File.Read(at, bytes);
        if (error != Errno.None)
        {
            throw new BlockException($"'{layout.Name}' cannot be read: {HostFile.Message(error)}");
        }
    }
}
