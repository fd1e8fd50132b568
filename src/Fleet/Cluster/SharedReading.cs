namespace Vmm.Fleet.Cluster;

/// <summary>
/// Reads the same for many who ask, one reading at a time. Whoever asks while there is one under way gets the next, which begins when that
/// has ended: what was true when somebody asked is in what it is told. Any thread.
/// </summary>
internal sealed class SharedReading<T>(Func<Task<T>> read)
{
    private readonly Lock _lock = new();

    // Under the lock. The reading under way, or the last one; and the one that follows, if somebody has asked for it.
    private Task _current = Task.CompletedTask;
    private Task<T>? _next;

    /// <summary>What a reading finds that begins from now on, or its error.</summary>
    public Task<T> ReadAsync()
    {
        lock (_lock)
        {
            return _next ??= BeginAsync(_current);
        }
    }

    private async Task<T> BeginAsync(Task before)
    {
        // The lock is free from here on: this goes on in another thread. An error of that reading is told to those who asked for it.
        await before.ConfigureAwait(ConfigureAwaitOptions.ForceYielding | ConfigureAwaitOptions.SuppressThrowing);
        Task<T> reading;
        lock (_lock)
        {
            _next = null;
            _current = reading = read();
        }

        return await reading.ConfigureAwait(false);
    }
}
