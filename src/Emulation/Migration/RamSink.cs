using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Migration;

/// <summary>Takes pages of RAM from a stream. The machine is nobody's. One thread at a time.</summary>
/// <param name="ram">Zero when it begins.</param>
public sealed class RamSink(GuestMemory ram, MigrationReader reader)
{
    private long _pages;

    /// <summary>Pages that came whole. Any thread.</summary>
    public long Pages => Volatile.Read(ref _pages);

    /// <summary>Takes a record whose header was read.</summary>
    /// <exception cref="MigrationException">It is damaged, or of pages that are not there; RAM is then undefined.</exception>
    /// <exception cref="IOException">The stream has ended, or the link is lost.</exception>
    public void Take(MigrationRecord record)
    {
        PageRange pages = PageRange.Of(record, ram);
        if (record.Kind == MigrationRecordKind.ZeroPages)
        {
            ram.Zero(ram.Start + pages.Offset, (ulong)pages.Count * GuestMemory.PageSize);
            return;
        }

        reader.ReadPayload(ram.Span(ram.Start + pages.Offset, record.Length));
        Volatile.Write(ref _pages, _pages + pages.Count);
    }
}
