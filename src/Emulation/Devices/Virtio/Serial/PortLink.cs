namespace Vmm.Emulation.Devices.Virtio.Serial;

/// <summary>
/// The bytes between a port of a virtio console and what the host has at its other end (a character device), both ways, each bounded. The
/// device's actor is at one end and a task of the host's at the other. Any thread; nobody waits under the lock.
/// </summary>
public sealed class PortLink
{
    /// <summary>Bytes that wait in each direction at most.</summary>
    public const int Capacity = 64 << 10;

    private readonly Lock _lock = new();
    private readonly byte[] _toGuest = new byte[Capacity];
    private readonly byte[] _toHost = new byte[Capacity];
    private (int Start, int Count) _in;
    private (int Start, int Count) _out;
    private bool _isHostOpen;
    private Action? _changed;

    // Completed, and made anew, when the host's end may go on.
    private TaskCompletionSource _hostMayGoOn = NewSignal();

    /// <summary>Whether somebody is at the host's end.</summary>
    public bool IsHostOpen
    {
        get
        {
            lock (_lock)
            {
                return _isHostOpen;
            }
        }
    }

    // ── The device's end ──

    /// <summary>Tells the device's actor of input, of room for output, and who comes and goes at the other end; null for nobody.</summary>
    public void Connect(Action? changed) => Volatile.Write(ref _changed, changed);

    /// <summary>Room for output. Without anybody at the other end output has room, and goes nowhere.</summary>
    public int OutputRoom
    {
        get
        {
            lock (_lock)
            {
                return Capacity - _out.Count;
            }
        }
    }

    /// <summary>Adds output, for which there is room.</summary>
    public void Send(ReadOnlySpan<byte> bytes)
    {
        lock (_lock)
        {
            if (_isHostOpen)
            {
                Add(_toHost, ref _out, bytes);
            }
        }

        WakeHost();
    }

    /// <summary>Copies input without taking it.</summary>
    public int Peek(Span<byte> bytes)
    {
        lock (_lock)
        {
            return Copy(_toGuest, _in, bytes);
        }
    }

    /// <summary>Takes input that was copied.</summary>
    public void Take(int count)
    {
        lock (_lock)
        {
            _in = ((_in.Start + count) % Capacity, _in.Count - count);
        }

        WakeHost();
    }

    /// <summary>Input that waits for the guest, in place of what there was.</summary>
    public byte[] Input
    {
        get
        {
            lock (_lock)
            {
                byte[] bytes = new byte[_in.Count];
                Copy(_toGuest, _in, bytes);
                return bytes;
            }
        }

        set
        {
            lock (_lock)
            {
                _in = default;
                Add(_toGuest, ref _in, value);
            }
        }
    }

    // ── The host's end ──

    /// <summary>Somebody comes to the other end, or goes. What was for the one that goes is dropped.</summary>
    public void SetHostOpen(bool value)
    {
        lock (_lock)
        {
            _isHostOpen = value;
            _out = value ? _out : default;
        }

        Volatile.Read(ref _changed)?.Invoke();
    }

    /// <summary>Adds input as soon as there is room.</summary>
    public async Task WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken stop)
    {
        while (!bytes.IsEmpty)
        {
            Task room = Volatile.Read(ref _hostMayGoOn).Task;
            int count;
            lock (_lock)
            {
                count = Math.Min(bytes.Length, Capacity - _in.Count);
                Add(_toGuest, ref _in, bytes.Span[..count]);
            }

            bytes = bytes[count..];
            if (count > 0)
            {
                Volatile.Read(ref _changed)?.Invoke();
            }
            else
            {
                await room.WaitAsync(stop).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Takes output, as soon as there is some.</summary>
    /// <returns>Bytes at the start of the buffer.</returns>
    public async Task<int> ReadAsync(Memory<byte> buffer, CancellationToken stop)
    {
        while (true)
        {
            Task output = Volatile.Read(ref _hostMayGoOn).Task;
            int count;
            lock (_lock)
            {
                count = Copy(_toHost, _out, buffer.Span);
                _out = ((_out.Start + count) % Capacity, _out.Count - count);
            }

            if (count > 0)
            {
                Volatile.Read(ref _changed)?.Invoke();
                return count;
            }

            await output.WaitAsync(stop).ConfigureAwait(false);
        }
    }

    private void WakeHost() => Interlocked.Exchange(ref _hostMayGoOn, NewSignal()).TrySetResult();

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static void Add(byte[] ring, ref (int Start, int Count) filled, ReadOnlySpan<byte> bytes)
    {
        bytes = bytes[..Math.Min(bytes.Length, Capacity - filled.Count)];
        int at = (filled.Start + filled.Count) % Capacity;
        int first = Math.Min(bytes.Length, Capacity - at);
        bytes[..first].CopyTo(ring.AsSpan(at));
        bytes[first..].CopyTo(ring);
        filled.Count += bytes.Length;
    }

    private static int Copy(byte[] ring, (int Start, int Count) filled, Span<byte> bytes)
    {
        int count = Math.Min(bytes.Length, filled.Count);
        int first = Math.Min(count, Capacity - filled.Start);
        ring.AsSpan(filled.Start, first).CopyTo(bytes);
        ring.AsSpan(0, count - first).CopyTo(bytes[first..]);
        return count;
    }
}
