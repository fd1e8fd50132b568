using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Migration;

/// <summary>Receives the pages that are missing while the guest runs (postcopy), and asks for those that it waits for.</summary>
public sealed class PageReceiver(GuestMemory ram, MissingPages missing, MigrationReader reader, MigrationWriter writer)
{
    private readonly byte[] _pages = new byte[MigrationRecord.LargestPages];

    /// <summary>Returns when nothing is missing. The calling thread receives, and another one asks.</summary>
    /// <exception cref="MigrationException">The stream is damaged, or the sender says what cannot be.</exception>
    /// <exception cref="IOException">The link is lost.</exception>
    /// <exception cref="OperationCanceledException">It was stopped; the stream is closed then.</exception>
    public void Run(CancellationToken stop)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        CancellationToken ends = over.Token;
        var asker = new Thread(() => Ask(ends)) { Name = "migration-requests", IsBackground = true };
        asker.Start();
        try
        {
            MigrationRecord record;
            while ((record = reader.Next()).Kind != MigrationRecordKind.Complete)
            {
                Take(record);
            }
        }
        catch
        {
            over.Cancel();
            throw;
        }
        finally
        {
            // It ends by itself when nothing is missing.
            if (missing.Count > 0)
            {
                over.Cancel();
            }

            asker.Join();
        }

        if (missing.Count > 0)
        {
            throw new MigrationException($"the sender says that all has been sent, but {missing.Count} pages are missing");
        }

        writer.Write(MigrationRecordKind.Complete);
        writer.Flush();
    }

    private void Take(MigrationRecord record)
    {
        if (record.Kind == MigrationRecordKind.CompressedPages)
        {
            throw new MigrationException("the migration stream has a frame, which only channels of multifd have");
        }

        PageRange pages = PageRange.Of(record, ram);
        Span<byte> bytes = _pages.AsSpan(0, record.Length);
        reader.ReadPayload(bytes);
        for (int i = 0; i < pages.Count; i++)
        {
            missing.Arrive(
                pages.First + i, bytes.IsEmpty ? bytes : bytes.Slice(i * GuestMemory.PageSize, GuestMemory.PageSize));
        }
    }

    private void Ask(CancellationToken ends)
    {
        try
        {
            while (missing.Requests.WaitToReadAsync(ends).AsTask().GetAwaiter().GetResult())
            {
                while (missing.Requests.TryRead(out int page))
                {
                    writer.Write(MigrationRecordKind.Request, (ulong)page);
                }

                writer.Flush();
            }
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or ObjectDisposedException)
        {
            // The thread that receives finds that the link is lost; who goes on with it asks again for what was not written.
        }
    }
}
