using System.Threading.Channels;

namespace Vmm.Management.CharacterDevices;

/// <summary>
/// What waits to be written to somebody who may read slowly or not at all: bounded in bytes, written in order by one task. Whoever adds
/// decides what a full queue means.
/// </summary>
public sealed class OutputQueue
{
    private readonly Stream _stream;
    private readonly int _capacity;
    private readonly Channel<ReadOnlyMemory<byte>> _pieces =
        Channel.CreateUnbounded<ReadOnlyMemory<byte>>(new UnboundedChannelOptions { SingleReader = true });
    private TaskCompletionSource _room = NewSignal();
    private long _bytes;

    /// <param name="stream">Written to until it fails; not disposed.</param>
    /// <param name="capacity">Bytes; a piece may overrun it once.</param>
    public OutputQueue(Stream stream, int capacity)
    {
        _stream = stream;
        _capacity = capacity;
        Completion = Drain();
    }

    /// <summary>Completes when all is written after <see cref="Complete"/>, or the stream has failed.</summary>
    public Task Completion { get; }

    /// <summary>Adds unless the queue is full or at its end. Any thread.</summary>
    public bool TryAdd(ReadOnlyMemory<byte> piece)
    {
        if (Interlocked.Read(ref _bytes) >= _capacity)
        {
            return false;
        }

        Interlocked.Add(ref _bytes, piece.Length);
        return _pieces.Writer.TryWrite(piece);
    }

    /// <summary>Adds when there is room. False: nothing is written any more.</summary>
    public async Task<bool> AddAsync(ReadOnlyMemory<byte> piece, CancellationToken cancellation = default)
    {
        while (true)
        {
            // Before it is tried, so that no signal is missed.
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

    /// <summary>Nothing more is added.</summary>
    public void Complete() => _pieces.Writer.TryComplete();

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
            // Whoever read has gone.
        }
        finally
        {
            _pieces.Writer.TryComplete();
            Interlocked.Exchange(ref _bytes, 0);
            Wake();
        }
    }

    private void Wake() => Interlocked.Exchange(ref _room, NewSignal()).TrySetResult();

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
