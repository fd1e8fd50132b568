namespace Vmm.Host.Migration;

/// <summary>
/// One direction of a pipe. What waits in it ends at once when the stream is disposed of; a pipe's own stream would go on waiting.
/// </summary>
/// <param name="pipe">Belongs to the stream. Its asynchronous operations can be cancelled.</param>
/// <param name="writes">It is written to; otherwise it is read.</param>
/// <param name="closed">Called once when the stream has been disposed of.</param>
internal sealed class OneWayStream(Stream pipe, bool writes, Action? closed = null) : Stream
{
    private readonly CancellationTokenSource _closing = new();

    // 1 once it has been disposed of.
    private int _isClosed;

    public override bool CanRead => !writes;

    public override bool CanWrite => writes;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _closing.Token);
        try
        {
            return await pipe.ReadAsync(buffer, either.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (Closed(e))
        {
            throw Gone();
        }
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _closing.Token);
        try
        {
            await pipe.WriteAsync(buffer, either.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (Closed(e))
        {
            throw Gone();
        }
    }

    public override int Read(byte[] buffer, int offset, int count) =>
        ReadAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();

    public override void Write(byte[] buffer, int offset, int count) =>
        WriteAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override void Flush()
    {
        // A pipe holds nothing back.
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing && Interlocked.Exchange(ref _isClosed, 1) == 0)
        {
            _closing.Cancel();
            pipe.Dispose();
            closed?.Invoke();
        }

        base.Dispose(disposing);
    }

    private bool Closed(Exception e) => _closing.IsCancellationRequested && e is OperationCanceledException or ObjectDisposedException;

    private static IOException Gone() => new("the pipe was closed on this side");
}
