using Akka.Actor;
using Akka.TestKit.Xunit2;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Tests.Cluster;

/// <summary>Questions to records, which get lost.</summary>
public sealed class EntityQuestionTests() : TestKit(Patience.Akka)
{
    private static readonly GetVm s_question = new("vm1");
    private static readonly VmRejected s_answer = new("vm1", VmRejectionCode.NotFound, "there is no VM 'vm1'");

    /// <summary>The first one that is answered counts, also when the question was repeated meanwhile.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Question_without_an_answer_is_repeated(bool isLost)
    {
        Task<IFleetMessage> asked = EntityQuestion.AskAgainAsync(TestActor, s_question, CancellationToken.None);
        ExpectMsg(s_question);
        IActorRef first = LastSender;
        ExpectMsg(s_question);
        (isLost ? LastSender : first).Tell(s_answer);
        Assert.Equal(s_answer, await asked.WaitAsync(Patience.Limit));
    }

    [Fact]
    public async Task Question_that_nobody_waits_for_ends()
    {
        using var stop = new CancellationTokenSource();
        Task<IFleetMessage> asked = EntityQuestion.AskAgainAsync(TestActor, s_question, stop.Token);
        ExpectMsg(s_question);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asked.WaitAsync(Patience.Limit));
    }
}
