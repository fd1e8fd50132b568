using Vmm.Benchmarks.Fleet;

namespace Vmm.Fleet.Tests.Cluster;

/// <summary>What a ledger of requests finds, with what is made up.</summary>
public sealed class RequestLedgerTests
{
    private readonly RequestLedger _ledger = new();

    public RequestLedgerTests()
    {
        foreach (string record in (string[])["a", "b", "c"])
        {
            _ledger.Ask(record);
        }

        _ledger.Made("a");
        _ledger.Made("b");
        for (int start = 0; start < 3; start++)
        {
            _ledger.AskStart();
        }

        _ledger.DoneStart();
        _ledger.DoneStart();
    }

    [Theory]
    [InlineData(2, "a", "b")]
    [InlineData(3, "a", "b", "c")]
    public void What_was_not_acknowledged_may_be_done_or_not(int boots, params string[] found) =>
        Assert.Empty(_ledger.FindWrong(found, boots));

    [Fact]
    public void Record_that_is_lost_is_found() => Assert.Equal(["acknowledged and not there: b"], _ledger.FindWrong(["a", "c"], 2));

    [Fact]
    public void Record_that_nobody_asked_for_is_found() =>
        Assert.Equal(["there and not asked for: d"], _ledger.FindWrong(["a", "b", "d"], 2));

    [Fact]
    public void Record_that_was_removed_and_is_there_is_found()
    {
        _ledger.Removed("a");
        Assert.Empty(_ledger.FindWrong(["b"], 2));
        Assert.Equal(["there and not asked for: a"], _ledger.FindWrong(["a", "b"], 2));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void Start_that_is_lost_or_done_twice_is_found(int boots) => Assert.Equal(
        [$"3 starts were asked for, 2 were done, 0 lost, and the guest began {boots} times"], _ledger.FindWrong(["a", "b"], boots));

    [Fact]
    public void Start_that_was_lost_with_its_node_is_no_boot()
    {
        _ledger.LoseStart();
        Assert.Empty(_ledger.FindWrong(["a", "b"], 1));
        Assert.Equal(
            ["3 starts were asked for, 2 were done, 1 lost, and the guest began 0 times"], _ledger.FindWrong(["a", "b"], 0));
        _ledger.LoseStart();
        Assert.Single(_ledger.FindWrong(["a", "b"], 0));
    }

    [Fact]
    public void Complaint_is_wrong()
    {
        _ledger.Complain("no");
        _ledger.Acknowledge(TimeSpan.FromSeconds(2));
        _ledger.Acknowledge(TimeSpan.FromSeconds(1));
        Assert.Equal(["no"], _ledger.FindWrong(["a", "b"], 2));
        Assert.Equal((2, TimeSpan.FromSeconds(2)), (_ledger.Acknowledged, _ledger.Slowest));
    }
}
