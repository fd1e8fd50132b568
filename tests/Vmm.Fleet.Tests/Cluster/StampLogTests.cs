namespace Vmm.Fleet.Tests.Cluster;

/// <summary>What a log of stamps says of a VM, with logs that are made up.</summary>
public sealed class StampLogTests
{
    // Each line: milliseconds, process, boot, count. A process is at the node of its number.
    private static StampLog Of(params (int At, int Place, uint Boot, uint Count)[] lines)
    {
        var log = new StampLog();
        foreach ((int at, int place, uint boot, uint count) in lines)
        {
            log.Add(new Stamp(TimeSpan.FromMilliseconds(at), place, place, boot, count));
        }

        return log;
    }

    [Fact]
    public void VM_that_begins_anew_elsewhere_has_run_once()
    {
        StampLog log = Of((0, 1, 7, 0), (10, 1, 7, 1), (5000, 2, 8, 0), (5010, 2, 8, 1));
        Assert.Null(log.FindOverlap());
        Assert.Equal((2, 4990), (log.Boots, (int)log.LongestGap.TotalMilliseconds));
        Assert.Equal([1, 2], log.Places);
    }

    [Fact]
    public void VM_that_moves_goes_on_with_its_count_and_has_run_once()
    {
        // The last line of the first process is read late.
        StampLog log = Of((0, 1, 7, 0), (10, 1, 7, 1), (12, 2, 7, 3), (13, 1, 7, 2), (20, 2, 7, 4), (30, 3, 7, 5));
        Assert.Null(log.FindOverlap());
        Assert.Equal(1, log.Boots);
    }

    [Fact]
    public void Two_boots_at_once_are_seen() => Assert.Equal(
        "boot 00000007 at node 1 from 0.000 to 0.020 s, lines 0 to 2, and boot 00000008 at node 2 from 0.015 to 0.025 s, lines 0 to 1,",
        Of((0, 1, 7, 0), (10, 1, 7, 1), (15, 2, 8, 0), (20, 1, 7, 2), (25, 2, 8, 1)).FindOverlap());

    [Fact]
    public void Boot_that_goes_on_after_another_one_has_ended_is_seen() =>
        Assert.NotNull(Of((0, 1, 7, 0), (10, 2, 8, 0), (20, 2, 8, 1), (30, 3, 9, 0), (40, 1, 7, 1)).FindOverlap());

    [Fact]
    public void Sender_that_runs_on_after_a_move_is_seen() =>
        Assert.NotNull(Of((0, 1, 7, 0), (10, 1, 7, 1), (12, 2, 7, 2), (20, 1, 7, 2), (22, 2, 7, 3)).FindOverlap());

    [Fact]
    public void Receiver_that_goes_on_from_an_older_state_is_seen() =>
        Assert.NotNull(Of((0, 1, 7, 0), (10, 1, 7, 1), (20, 1, 7, 2), (30, 2, 7, 1), (40, 2, 7, 2)).FindOverlap());
}
