using Vmm.Host.Guest;
using Vmm.Host.Guest.Disk;

namespace Vmm.Host.Tests.Guest;

/// <summary>How far the guest that makes a disk is, by what it prints.</summary>
public sealed class StepReaderTests : IProgress<FetchProgress>
{
    private readonly List<FetchProgress> _reports = [];

    void IProgress<FetchProgress>.Report(FetchProgress value) => _reports.Add(value);

    [Fact]
    public void Steps_are_reported_in_whatever_pieces_they_come()
    {
        var reader = new StepReader(this);
        foreach (char c in "[ 0.1] Linux\r\n## 1 unpacking the tools\r\nnoise ## 2 of others\n## 2 making\n## done\n")
        {
            reader.Take($"{c}");
        }

        Assert.True(reader.Done);
        Assert.Equal([(0, "unpacking the tools"), (1, "making"), (DiskRecipe.Steps, "the disk is made")],
            _reports.Select(r => ((int)r.Done, r.What)));
        Assert.All(_reports, r => Assert.Equal((DiskRecipe.Steps, true), ((int)r.Total, r.InSteps)));
    }

    [Theory]
    [InlineData("", "has ended before it began")]
    [InlineData("## 3 installing\n", "has ended while installing")]
    [InlineData("## 3 installing\n## failed dpkg\n", "failed at dpkg, while installing")]
    public void Guest_that_does_not_finish_is_told_where_it_was(string said, string problem)
    {
        var reader = new StepReader(null);
        reader.Take(said);
        Assert.False(reader.Done);
        Assert.Equal(problem, reader.Problem);
    }
}
