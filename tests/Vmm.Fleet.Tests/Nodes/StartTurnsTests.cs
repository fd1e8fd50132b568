using Vmm.Fleet.Nodes;

namespace Vmm.Fleet.Tests.Nodes;

public sealed class StartTurnsTests
{
    private readonly List<int> _begun = [];
    private readonly StartTurns _turns = new(2);

    [Fact]
    public async Task As_many_at_a_time_as_there_are_turns_in_the_order_of_asking()
    {
        TaskCompletionSource<int>[] ends = [.. Enumerable.Range(0, 5).Select(_ => new TaskCompletionSource<int>())];
        Task<int>[] starts = [.. ends.Select((end, i) => Take(i, end.Task))];
        await Begun(2);
        Assert.Equal([0, 1], _begun.Order());
        ends[1].SetResult(1);
        Assert.Equal(1, await starts[1]);
        await Begun(3);
        Assert.Equal(2, _begun[2]);
        ends[0].SetResult(0);
        await Begun(4);
        ends[2].SetResult(2);
        ends[3].SetResult(3);
        ends[4].SetResult(4);
        int[] all = await Task.WhenAll(starts);
        Assert.Equal([0, 1, 2, 3, 4], all);
        Assert.Equal([3, 4], _begun[3..]);
    }

    [Fact]
    public async Task A_start_that_fails_ends_its_turn()
    {
        Task<int>[] failing = [.. Enumerable.Range(0, 5).Select(i => Take(i, Task.FromException<int>(new IOException("no"))))];
        Assert.Equal(9, await Take(9, Task.FromResult(9)).WaitAsync(Patience.Limit));
        foreach (Task<int> start in failing)
        {
            await Assert.ThrowsAsync<IOException>(() => start);
        }
    }

    [Fact]
    public async Task Who_is_stopped_before_his_turn_starts_nothing()
    {
        var never = new TaskCompletionSource<int>();
        Task<int>[] first = [Take(0, never.Task), Take(1, never.Task)];
        using var stop = new CancellationTokenSource();
        Task<int> third = _turns.TakeAsync(() => Begin(2, never.Task), stop.Token);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => third);
        never.SetResult(7);
        await Task.WhenAll(first);
        Assert.Equal([0, 1], _begun.Order());
    }

    /// <summary>After five seconds others have their turn.</summary>
    [Fact]
    public async Task A_start_that_hangs_keeps_no_turn()
    {
        var never = new TaskCompletionSource<int>();
        _ = Take(0, never.Task);
        _ = Take(1, never.Task);
        Assert.Equal(2, await Take(2, Task.FromResult(2)).WaitAsync(Patience.Limit));
    }

    private Task<int> Take(int i, Task<int> end) => _turns.TakeAsync(() => Begin(i, end), CancellationToken.None);

    private Task<int> Begin(int i, Task<int> end)
    {
        lock (_begun)
        {
            _begun.Add(i);
            Monitor.PulseAll(_begun);
        }

        return end;
    }

    private Task Begun(int count) => Task.Run(() =>
    {
        lock (_begun)
        {
            while (_begun.Count < count)
            {
                Assert.True(Monitor.Wait(_begun, Patience.Limit));
            }
        }
    });
}
