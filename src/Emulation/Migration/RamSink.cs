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
        switch (record.Kind)
        {
            case MigrationRecordKind.Pages:
                RequireInside(record.Argument, (uint)record.Length / GuestMemory.PageSize, record.Length % GuestMemory.PageSize == 0);
                reader.ReadPayload(ram.Span(ram.Start + (record.Argument * GuestMemory.PageSize), record.Length));
                Volatile.Write(ref _pages, _pages + (record.Length / GuestMemory.PageSize));
                break;
            case MigrationRecordKind.ZeroPages:
                ulong first = (uint)record.Argument;
                ulong count = record.Argument >> 32;
                RequireInside(first, count, true);
                ram.Zero(ram.Start + (first * GuestMemory.PageSize), count * GuestMemory.PageSize);
                break;
            default:
                throw new MigrationException($"the migration stream has a record {record.Kind} in place of RAM");
        }
    }

    private void RequireInside(ulong first, ulong count, bool whole)
    {
        ulong pages = ram.Size / GuestMemory.PageSize;
        if (!whole || count == 0 || first >= pages || count > pages - first)
        {
            throw new MigrationException("the migration stream has pages that are not in RAM");
        }
    }
}
