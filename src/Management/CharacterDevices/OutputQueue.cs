using System.Threading.Channels;

namespace Vmm.Management.CharacterDevices;

/// <summary>
/// Output for a reader that may read slowly or not at all. The queue is bounded in bytes, and one task writes its pieces in order. The
/// caller that adds a piece decides what a full queue means.
/// </summary>
public sealed class OutputQueue
{
    private readonly Stream _stream;
    private readonly int _capacity;
    private readonly Channel<ReadOnlyMemory<byte>> _pieces =
        Channel.CreateUnbounded<ReadOnlyMemory<byte>>(new UnboundedChannelOptions { SingleReader = true });
    private TaskCompletionSource _room = NewSignal();
    private long _bytes;
    private volatile bool _hasEnded;

    /// <param name="stream">The stream that is written to until it fails. It is not disposed.</param>
    /// <param name="capacity">The capacity in bytes. One piece may go beyond it.</param>
    public OutputQueue(Stream stream, int capacity)
    {
        _stream = stream;
        _capacity = capacity;
        Completion = Drain();
    }

    /// <summary>Completes when everything is written after <see cref="Complete"/>, or when the stream has failed.</summary>
    public Task Completion { get; }

    /// <summary>Nothing can be added any more: <see cref="Complete"/> was called, or the stream has failed. Any thread.</summary>
    public bool HasEnded => _hasEnded;

    /// <summary>Adds a piece, unless the queue is full or completed. Any thread.</summary>
    public bool TryAdd(ReadOnlyMemory<byte> piece)
    {
        if (Interlocked.Read(ref _bytes) >= _capacity)
        {
            return false;
        }

        Interlocked.Add(ref _bytes, piece.Length);
        return _pieces.Writer.TryWrite(piece);
    }

    /// <summary>Adds a piece as soon as there is room. False: nothing is written any more.</summary>
    public async Task<bool> AddAsync(ReadOnlyMemory<byte> piece, CancellationToken cancellation = default)
    {
        while (true)
        {
            // The signal is read before the attempt, so that none is missed.
            Task room = Volatile.Read(ref _room).Task;
            if (TryAdd(piece))
            {
                return true;
            }

            if (Completion.IsCompleted)
            {
                return false;
            }

            await Task.WhenAny(room, Completion).WaitAsync(cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>Ends the queue: nothing more can be added.</summary>
    public void Complete()
    {
        // First: who is refused a piece from here on sees that the queue has ended, and does not take it for full.
        _hasEnded = true;
        _pieces.Writer.TryComplete();
    }

    private async Task Drain()
    {
        try
        {
            while (await _pieces.Reader.WaitToReadAsync().ConfigureAwait(false))
            {
                while (_pieces.Reader.TryRead(out ReadOnlyMemory<byte> piece))
                {
                    await _stream.WriteAsync(piece).ConfigureAwait(false);
                    await _stream.FlushAsync().ConfigureAwait(false);
                    if (Interlocked.Add(ref _bytes, -piece.Length) < _capacity)
                    {
                        Wake();
                    }
                }
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
        {
            // The reader has gone.
        }
        finally
        {
            Complete();
            Interlocked.Exchange(ref _bytes, 0);
            Wake();
        }
    }

    private void Wake() => Interlocked.Exchange(ref _room, NewSignal()).TrySetResult();

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
