using Akka.Actor;
using Akka.Cluster.Sharding;
using Akka.Configuration;
using Akka.TestKit;
using Akka.TestKit.Xunit2;
using Vmm.Actors.Hosting;
using Vmm.Fleet.Ledger;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Tests.Ledger;

public sealed class AccountEntityTests() : TestKit(ConfigurationFactory.ParseString(
    """akka.scheduler.implementation = "Akka.TestKit.TestScheduler, Akka.TestKit" """).WithFallback(Patience.Akka))
{
    /// <summary>Whoever asks for names that nobody has fills no memory with their accounts.</summary>
    [Fact]
    public void Account_that_nobody_asks_for_is_not_kept_in_memory()
    {
        TestProbe shard = CreateTestProbe();
        IActorRef account = shard.ChildActorOf(ActorProps.Of(() => new AccountEntity("nobody")), CancellationToken.None);
        account.Tell(new GetAccount("nobody"), TestActor);
        Assert.Empty(ExpectMsg<AccountState>().Vms);
        ((TestScheduler)Sys.Scheduler).Advance(TimeSpan.FromMinutes(2));
        Assert.IsType<PoisonPill>(shard.ExpectMsg<Passivate>().StopMessage);
    }
}
