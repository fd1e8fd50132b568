using System.Text;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Migration;

/// <summary>Writes a migration stream: a magic and a version, and then records. One thread at a time.</summary>
/// <param name="stream">Written to without further buffering; not closed.</param>
public sealed class MigrationWriter(Stream stream)
{
    private readonly byte[] _buffer = new byte[MigrationRecord.HeaderSize + MigrationRecord.LargestPages];

    // Of the payload of the record that is being filled.
    private int _filled;

    // Any thread reads it.
    private long _written;

    /// <summary>Bytes that were written. Any thread.</summary>
    public long Written => Volatile.Read(ref _written);

    internal static ReadOnlySpan<byte> Magic => "VMMMIGR\x01"u8;

    /// <summary>The first bytes of a sender.</summary>
    public void WriteMagic() => Write(Magic);

    /// <summary>Writes a record. Nobody changes the payload meanwhile.</summary>
    public void Write(MigrationRecordKind kind, ulong argument = 0, ReadOnlySpan<byte> payload = default)
    {
        Span<byte> header = _buffer.AsSpan(0, MigrationRecord.HeaderSize);
        new MigrationRecord(kind, payload.Length, argument, Crc32C.Of(payload)).Write(header);
        Write(header);
        Write(payload);
    }

    public void Write(MigrationRecordKind kind, string text) => Write(kind, 0, Encoding.UTF8.GetBytes(text));

    /// <summary>Adds a page to the record that is being filled. The guest may write it meanwhile: what is sent is this copy.</summary>
    /// <returns>Whether there is room for another.</returns>
    public bool AddPage(ReadOnlySpan<byte> page)
    {
        page.CopyTo(_buffer.AsSpan(MigrationRecord.HeaderSize + _filled));
        _filled += page.Length;
        return _filled + GuestMemory.PageSize <= MigrationRecord.LargestPages;
    }

    /// <summary>Writes the pages that were added.</summary>
    /// <param name="first">The number of the first one.</param>
    public void FlushPages(long first)
    {
        if (_filled > 0)
        {
            ReadOnlySpan<byte> pages = _buffer.AsSpan(MigrationRecord.HeaderSize, _filled);
            new MigrationRecord(MigrationRecordKind.Pages, _filled, (ulong)first, Crc32C.Of(pages)).Write(_buffer);
            Write(_buffer.AsSpan(0, MigrationRecord.HeaderSize + _filled));
            _filled = 0;
        }
    }

    public void Flush() => stream.Flush();

    private void Write(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > 0)
        {
            stream.Write(bytes);
            Volatile.Write(ref _written, _written + bytes.Length);
        }
    }
}
