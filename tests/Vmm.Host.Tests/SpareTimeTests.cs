namespace Vmm.Host.Tests;

public sealed class SpareTimeTests
{
    [Fact]
    public async Task Idle_time_is_that_of_all_cores_and_a_busy_host_is_not_waited_for_without_end()
    {
        TimeSpan before = SpareTime.Idle();
        await SpareTime.WaitAsync(TimeSpan.FromSeconds(1), CancellationToken.None).WaitAsync(Patience.Limit);
        Assert.InRange(before, TimeSpan.Zero, SpareTime.Idle());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => SpareTime.WaitAsync(Patience.Limit, new CancellationToken(canceled: true)));
    }
}
