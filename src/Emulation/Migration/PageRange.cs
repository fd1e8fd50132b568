using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Migration;

/// <summary>The pages of RAM that a record is about, which follow each other.</summary>
/// <param name="First">The number of the first one, from the start of RAM.</param>
/// <param name="Count">At least one.</param>
internal readonly record struct PageRange(int First, int Count)
{
    /// <summary>Bytes from the start of RAM to the first page.</summary>
    public ulong Offset => (ulong)First * GuestMemory.PageSize;

    /// <exception cref="MigrationException">The record is about something else, or about pages that RAM has not.</exception>
    public static PageRange Of(MigrationRecord record, GuestMemory ram)
    {
        ulong pages = ram.Size / GuestMemory.PageSize;
        (ulong first, ulong count) = record.Kind switch
        {
            MigrationRecordKind.Pages when record.Length % GuestMemory.PageSize == 0 =>
                (record.Argument, (ulong)record.Length / GuestMemory.PageSize),
            MigrationRecordKind.Pages => (pages, 0ul),
            MigrationRecordKind.ZeroPages or MigrationRecordKind.CompressedPages => ((uint)record.Argument, record.Argument >> 32),
            _ => throw new MigrationException($"the migration stream has a record {record.Kind} in place of RAM"),
        };
        return count > 0 && first < pages && count <= pages - first ? new PageRange((int)first, (int)count)
            : throw new MigrationException("the migration stream has pages that are not in RAM");
    }
}
