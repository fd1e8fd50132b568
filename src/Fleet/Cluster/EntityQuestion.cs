using Akka.Actor;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Cluster;

/// <summary>Asks a record or an account, wherever in the cluster it is.</summary>
internal static class EntityQuestion
{
    // It writes to its database before it answers.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan s_again = TimeSpan.FromSeconds(5);

    /// <summary>
    /// The answer. The question is repeated meanwhile, for it can be lost: with a node, or where its shard goes from a node to another. So
    /// it must be one that changes nothing when it comes twice, as requests with an id are.
    /// </summary>
    /// <param name="region">The shards of all of its kind.</param>
    /// <exception cref="AskTimeoutException">There is none in time. Whether the request was kept is not known.</exception>
    public static async Task<IFleetMessage> AskAgainAsync(IActorRef region, IFleetMessage question, CancellationToken stop)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var asked = new List<Task<IFleetMessage>>();
        try
        {
            for (TimeSpan left = s_patience; left > TimeSpan.Zero; left -= s_again)
            {
                asked.Add(region.Ask<IFleetMessage>(question, left, end.Token));
                if (await Task.WhenAny([.. asked, Task.Delay(s_again, end.Token)]).ConfigureAwait(false) is Task<IFleetMessage> first)
                {
                    return await first.ConfigureAwait(false);
                }
            }

            return await (await Task.WhenAny(asked).ConfigureAwait(false)).ConfigureAwait(false);
        }
        finally
        {
            await end.CancelAsync().ConfigureAwait(false);
        }
    }

    /// <summary>The answer to a question that is asked once.</summary>
    /// <inheritdoc cref="AskAgainAsync"/>
    public static Task<IFleetMessage> AskOnceAsync(IActorRef region, IFleetMessage question, CancellationToken stop) =>
        region.Ask<IFleetMessage>(question, s_patience, stop);
}
