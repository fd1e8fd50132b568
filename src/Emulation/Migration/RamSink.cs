using Vmm.Emulation.Memory;
using Vmm.Emulation.Snapshots;
using ZstdSharp;

namespace Vmm.Emulation.Migration;

/// <summary>Takes pages of RAM from a stream. The machine is nobody's. One thread at a time.</summary>
/// <param name="ram">Zero when it begins.</param>
public sealed class RamSink(GuestMemory ram, MigrationReader reader) : IDisposable
{
    // Made when the first frame comes.
    private Decompressor? _decompressor;
    private byte[] _frame = [];
    private long _pages;

    // The pages of the first pass come in their order; those behind this one have not come yet.
    private int _untouched;

    // The pages of the first pass, if the sender has said which they are, and what makes room for them once it has said all.
    private PageBits? _expected;
    private RamPrefault? _prefault;

    /// <summary>Pages that came whole. Any thread.</summary>
    public long Pages => Volatile.Read(ref _pages);

    /// <summary>Bytes of the stream that were read. Any thread.</summary>
    public long Read => reader.Read;

    /// <summary>Takes a record whose header was read.</summary>
    /// <exception cref="MigrationException">It is damaged, or of pages that are not there; RAM is then undefined.</exception>
    /// <exception cref="IOException">The stream has ended, or the link is lost.</exception>
    public void Take(MigrationRecord record)
    {
        if (record.Kind == MigrationRecordKind.Expected)
        {
            Expect(record);
            return;
        }

        PageRange pages = PageRange.Of(record, ram);
        if (record.Kind == MigrationRecordKind.ZeroPages)
        {
            ram.Zero(ram.Start + pages.Offset, (ulong)pages.Count * GuestMemory.PageSize);
            return;
        }

        if (pages.First >= _untouched)
        {
            ram.PopulateToWrite(pages.Offset, (ulong)pages.Count * GuestMemory.PageSize);
            _untouched = pages.First + pages.Count;
            if (_expected != null)
            {
                (_prefault ??= new RamPrefault(ram, _expected)).Reach(_untouched);
            }
        }

        if (record.Kind == MigrationRecordKind.CompressedPages)
        {
            Decompress(record, pages);
        }
        else
        {
            reader.ReadPayload(ram.Span(ram.Start + pages.Offset, record.Length));
        }

        Volatile.Write(ref _pages, _pages + pages.Count);
    }

    public void Dispose()
    {
        _prefault?.Dispose();
        _decompressor?.Dispose();
    }

    private void Expect(MigrationRecord record)
    {
        if (_prefault != null)
        {
            throw new MigrationException("the migration stream says what pages it has after it has begun with them");
        }

        (_expected ??= new PageBits(ram)).Read(record, reader);
    }

    private void Decompress(MigrationRecord record, PageRange pages)
    {
        if (pages.Count > MigrationRecord.LargestPages / GuestMemory.PageSize)
        {
            throw new MigrationException($"the migration stream has a frame of {pages.Count} pages, which are too many");
        }

        if (_frame.Length == 0)
        {
            _frame = new byte[MigrationRecord.LargestPages];
        }

        Span<byte> frame = _frame.AsSpan(0, record.Length);
        reader.ReadPayload(frame);
        int length = pages.Count * GuestMemory.PageSize;
        try
        {
            int found = (_decompressor ??= new Decompressor()).Unwrap(frame, ram.Span(ram.Start + pages.Offset, length));
            if (found != length)
            {
                throw new MigrationException($"the migration stream has a frame of {found} bytes in place of {length}");
            }
        }
        catch (ZstdException e)
        {
            throw new MigrationException($"the migration stream has a frame that is damaged: {SnapshotFormat.Legible(e.Message)}", e);
        }
    }
}
