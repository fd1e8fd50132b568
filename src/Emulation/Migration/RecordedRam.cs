using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Migration;

/// <summary>Sends RAM as records: pages that follow each other in one, pages of zeros in others.</summary>
/// <param name="writer">The stream.</param>
/// <param name="pages">Where pages go that are not zero: the stream, or channels beside it.</param>
public sealed class RecordedRam(GuestMemory ram, DirtyLog log, MigrationWriter writer, IPageWriter pages, RateLimit limit)
    : RamSource(ram, log, limit)
{
    private const int Glance = 64;

    private Run _whole;
    private Run _zeros;

    public override long Written => pages.Written;

    // The host looks at a few bytes of each page only. A receiver of channels has several threads that fill RAM already.
    protected override void Announce(int[] first)
    {
        if (pages != writer)
        {
            return;
        }

        var expected = new PageBits(Ram);
        foreach (int page in first)
        {
            if (!IsZero(BytesOf(page)[..Glance]))
            {
                expected[page] = true;
            }
        }

        expected.Write(writer, MigrationRecordKind.Expected);
        writer.Flush();
    }

    protected override void Put(int page, bool sendZeros, CancellationToken stop)
    {
        ReadOnlySpan<byte> bytes = BytesOf(page);
        if (IsZero(bytes))
        {
            if (!_zeros.CanTake(page))
            {
                WritePages(stop);
                WriteZeros(sendZeros);
            }

            _zeros.Take(page);
            return;
        }

        if (!_whole.CanTake(page))
        {
            WritePages(stop);
        }

        _whole.Take(page);
        if (!pages.AddPage(bytes))
        {
            WritePages(stop);
        }
    }

    protected override void EndPass(bool sendZeros, CancellationToken stop)
    {
        WritePages(stop);
        WriteZeros(sendZeros);
        pages.EndPass();
        writer.Flush();
    }

    private void WritePages(CancellationToken stop)
    {
        pages.CompletePages(_whole.First);
        Spend(_whole.Count, stop);
        _whole = default;
    }

    private void WriteZeros(bool send)
    {
        CountZeros(_zeros.Count);
        if (send && _zeros.Count > 0)
        {
            writer.Write(MigrationRecordKind.ZeroPages, (uint)_zeros.First | ((ulong)_zeros.Count << 32));
        }

        _zeros = default;
    }

    // Pages that follow each other.
    private struct Run
    {
        public int First;
        public int Count;

        public readonly bool CanTake(int page) => Count == 0 || page == First + Count;

        public void Take(int page)
        {
            First = Count == 0 ? page : First;
            Count++;
        }
    }
}
