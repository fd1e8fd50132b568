using System.Text;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Migration;

/// <summary>
/// Writes a migration stream: a magic and a version, and then records. What is written may wait in a buffer until <see cref="Flush"/>. One
/// thread at a time.
/// </summary>
/// <param name="stream">Not closed.</param>
public sealed class MigrationWriter(Stream stream) : IPageWriter
{
    // A record of pages has room behind so many bytes of other records.
    private const int SendAt = 256 << 10;

    private readonly byte[] _buffer = new byte[SendAt + MigrationRecord.HeaderSize + MigrationRecord.LargestPages];

    // Bytes of whole records, and of the pages of the one behind them.
    private int _whole;
    private int _pages;

    // Any thread reads it.
    private long _written;

    /// <inheritdoc/>
    public long Written => Volatile.Read(ref _written);

    internal static ReadOnlySpan<byte> Magic => "VMMMIGR\x01"u8;

    private Span<byte> PagesOfRecord => _buffer.AsSpan(_whole + MigrationRecord.HeaderSize);

    /// <summary>The first bytes of a sender.</summary>
    public void WriteMagic()
    {
        Magic.CopyTo(_buffer.AsSpan(_whole));
        Complete(Magic.Length);
    }

    /// <summary>Writes a record. Nobody changes the payload meanwhile, and no record of pages is being filled.</summary>
    public void Write(MigrationRecordKind kind, ulong argument = 0, ReadOnlySpan<byte> payload = default)
    {
        new MigrationRecord(kind, payload.Length, argument, Crc32C.Of(payload)).Write(_buffer.AsSpan(_whole));
        if (payload.Length <= MigrationRecord.LargestPages)
        {
            payload.CopyTo(PagesOfRecord);
            Complete(MigrationRecord.HeaderSize + payload.Length);
            return;
        }

        Complete(MigrationRecord.HeaderSize);
        Send();
        stream.Write(payload);
        Volatile.Write(ref _written, _written + payload.Length);
    }

    /// <summary>Says why this receiver does not go on, at once; what is too long for a record is cut.</summary>
    public void Refuse(string why)
    {
        byte[] reason = Encoding.UTF8.GetBytes(why);
        Write(MigrationRecordKind.Refused, 0, reason.AsSpan(0, Math.Min(reason.Length, MigrationRecord.LargestReason)));
        Flush();
    }

    /// <inheritdoc/>
    public bool AddPage(ReadOnlySpan<byte> page)
    {
        page.CopyTo(PagesOfRecord[_pages..]);
        _pages += page.Length;
        return _pages + GuestMemory.PageSize <= MigrationRecord.LargestPages;
    }

    /// <inheritdoc/>
    public void CompletePages(long first)
    {
        if (_pages > 0)
        {
            new MigrationRecord(MigrationRecordKind.Pages, _pages, (ulong)first, Crc32C.Of(PagesOfRecord[.._pages])).Write(
                _buffer.AsSpan(_whole));
            int length = MigrationRecord.HeaderSize + _pages;
            _pages = 0;
            Complete(length);
        }
    }

    /// <inheritdoc/>
    public void EndPass()
    {
        // Records of a stream come in their order.
    }

    /// <summary>Sends what waits.</summary>
    public void Flush()
    {
        Send();
        stream.Flush();
    }

    private void Complete(int length)
    {
        _whole += length;
        Volatile.Write(ref _written, _written + length);
        if (_whole >= SendAt)
        {
            Send();
        }
    }

    private void Send()
    {
        if (_whole > 0)
        {
            stream.Write(_buffer.AsSpan(0, _whole));
            _whole = 0;
        }
    }
}
