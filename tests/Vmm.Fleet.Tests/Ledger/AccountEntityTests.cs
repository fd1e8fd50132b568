using Akka.Actor;
using Akka.Cluster.Sharding;
using Akka.Configuration;
using Akka.TestKit;
using Akka.TestKit.Xunit2;
using Vmm.Actors.Hosting;
using Vmm.Fleet.Ledger;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Serialization;

namespace Vmm.Fleet.Tests.Ledger;

public sealed class AccountEntityTests() : TestKit(ConfigurationFactory.ParseString(
    """akka.scheduler.implementation = "Akka.TestKit.TestScheduler, Akka.TestKit" """).WithFallback(Patience.Akka))
{
    [Fact]
    public void Usage_of_many_VMs_comes_in_parts_that_messages_have_room_for()
    {
        const int Vms = 1200;
        IActorRef account = Sys.ActorOf(ActorProps.Of(() => new AccountEntity("acme")));
        long noon = new DateTimeOffset(2026, 11, 29, 12, 0, 0, TimeSpan.Zero).ToUnixTimeMilliseconds();
        for (int vm = 0; vm < Vms; vm++)
        {
            account.Tell(
                new CountMeter("acme", $"a-long-name-of-a-vm-{vm:0000}", Guid.NewGuid().ToString(), noon, long.MaxValue / 4, 1, 1),
                TestActor);
            ExpectMsg<MeterCounted>();
        }

        var found = new List<DayUsage>();
        var ask = new GetUsage("acme", new DateOnly(2026, 11, 1), new DateOnly(2026, 11, 30));
        AccountUsage part;
        do
        {
            account.Tell(ask, TestActor);
            part = ExpectMsg<AccountUsage>();
            Assert.InRange(FleetSerializer.Table.Encode(part).Length, 1, 120_000);
            found.AddRange(part.Days);
            ask = ask with { First = found[^1].Day, AfterVm = found[^1].Vm };
        }
        while (!part.IsLast);
        Assert.Equal(Vms, found.Select(u => u.Vm).Distinct().Count());
        Assert.Equal(Vms, found.Count);
    }

    /// <summary>What an account is asked before it goes to another node is kept and answered.</summary>
    [Fact]
    public void Account_that_goes_elsewhere_answers_first()
    {
        IActorRef account = Sys.ActorOf(ActorProps.Of(() => new AccountEntity("acme")));
        Watch(account);
        account.Tell(new ChangeQuota("acme", new OwnerQuota(3, null)), TestActor);
        account.Tell(EndEntity.Instance);

        // Word of an end overtakes messages that wait.
        object[] heard = [.. ReceiveN(2, Patience.Limit)];
        Assert.Equal(3, Assert.Single(heard.OfType<AccountState>()).Quota.Cpus);
        Assert.Single(heard.OfType<Terminated>());
    }

    /// <summary>Whoever asks for names that nobody has fills no memory with their accounts.</summary>
    [Fact]
    public void Account_that_nobody_asks_for_is_not_kept_in_memory()
    {
        TestProbe shard = CreateTestProbe();
        IActorRef account = shard.ChildActorOf(ActorProps.Of(() => new AccountEntity("nobody")), CancellationToken.None);
        account.Tell(new GetAccount("nobody"), TestActor);
        Assert.Empty(ExpectMsg<AccountState>().Vms);
        ((TestScheduler)Sys.Scheduler).Advance(TimeSpan.FromMinutes(2));
        Assert.IsType<EndEntity>(shard.ExpectMsg<Passivate>().StopMessage);
    }
}
