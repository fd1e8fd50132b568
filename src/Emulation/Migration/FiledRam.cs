using Vmm.Emulation.Memory;
using Vmm.Emulation.Snapshots;

namespace Vmm.Emulation.Migration;

/// <summary>
/// Writes RAM to a file in which each page has its place: a page that was written again takes the place of what the file had of it. Whole
/// blocks are written, because each has a checksum.
/// </summary>
/// <param name="file">Where to. Only this writes RAM to it.</param>
public sealed class FiledRam(GuestMemory ram, DirtyLog log, MappedFileWriter file, RateLimit limit) : RamSource(ram, log, limit)
{
    // The block of the pages that came last.
    private long _block = -1;
    private long _written;

    public override long Written => Volatile.Read(ref _written);

    /// <summary>Counts bytes of the file that are not RAM's.</summary>
    public void AddWritten(long bytes) => Volatile.Write(ref _written, _written + bytes);

    protected override void Put(int page, bool sendZeros, CancellationToken stop)
    {
        long block = RamImage.BlockOf(page);
        if (block == _block)
        {
            return;
        }

        _block = block;
        int pages = file.Write(block);
        AddWritten((long)pages * GuestMemory.PageSize);
        CountZeros((RamImage.BlockLength(Ram.Size, block) / GuestMemory.PageSize) - pages);
        Spend(pages, stop);
    }

    protected override void EndPass(bool sendZeros, CancellationToken stop) => _block = -1;
}
