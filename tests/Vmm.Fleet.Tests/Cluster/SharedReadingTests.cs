using Vmm.Fleet.Cluster;

namespace Vmm.Fleet.Tests.Cluster;

/// <summary>Many who ask at once share readings, and none is told what was true before it asked.</summary>
public sealed class SharedReadingTests : IDisposable
{
    private readonly List<TaskCompletionSource<int>> _readings = [];
    private readonly SemaphoreSlim _begun = new(0);
    private readonly SharedReading<int> _shared;

    public SharedReadingTests() => _shared = new SharedReading<int>(() =>
    {
        var reading = new TaskCompletionSource<int>();
        _readings.Add(reading);
        _begun.Release();
        return reading.Task;
    });

    public void Dispose() => _begun.Dispose();

    private async Task AwaitReadingAsync() => Assert.True(await _begun.WaitAsync(Patience.Limit));

    [Fact]
    public async Task Those_who_ask_during_a_reading_share_the_next()
    {
        Task<int> first = _shared.ReadAsync();
        await AwaitReadingAsync();
        Task<int>[] later = [.. Enumerable.Range(0, 20).Select(_ => _shared.ReadAsync())];
        _readings[0].SetResult(1);
        Assert.Equal(1, await first.WaitAsync(Patience.Limit));
        await AwaitReadingAsync();
        Assert.All(later, task => Assert.False(task.IsCompleted));
        _readings[1].SetResult(2);
        Assert.All(await Task.WhenAll(later).WaitAsync(Patience.Limit), told => Assert.Equal(2, told));
        Assert.Equal(2, _readings.Count);
    }

    [Fact]
    public async Task Error_is_told_to_those_who_asked_for_that_reading()
    {
        Task<int> first = _shared.ReadAsync();
        await AwaitReadingAsync();
        Task<int> second = _shared.ReadAsync();
        _readings[0].SetException(new IOException("no disk"));
        await Assert.ThrowsAsync<IOException>(() => first.WaitAsync(Patience.Limit));
        await AwaitReadingAsync();
        _readings[1].SetResult(2);
        Assert.Equal(2, await second.WaitAsync(Patience.Limit));
    }

    [Fact]
    public async Task Nobody_is_told_an_older_value_than_at_the_time_of_asking()
    {
        int value = 0;
        var shared = new SharedReading<int>(async () =>
        {
            int seen = Volatile.Read(ref value);
            await Task.Yield();
            return seen;
        });
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            for (int i = 0; i < 5_000; i++)
            {
                int asked = Interlocked.Increment(ref value);
                Assert.True(await shared.ReadAsync().WaitAsync(Patience.Limit) >= asked);
            }
        })));
    }
}
