using System.Net.Sockets;
using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Migration;

namespace Vmm.Actors.Tests;

/// <summary>A migration whose pages go over channels beside the stream (<c>multifd</c>).</summary>
public sealed class MultifdTests : MigrationTestKit
{
    private void OpenWithChannels(string compression, string atReceiver = "4")
    {
        _from = MakeVm(_machine, _sourceJournal);
        _from.Tell(new StartVm(), TestActor);
        ExpectMsg<VmStatus>(s_patience);
        _to = MakeVm(_target, _targetJournal);
        _to.Tell(new PrepareIncoming(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.InMigrate, ""), s_patience);
        foreach ((IActorRef vm, string channels) in ((IActorRef, string)[])[(_from, "4"), (_to, atReceiver)])
        {
            Done(vm, new SetMigrationCapabilities([MigrationCapability.Multifd], [true]));
            Done(vm, new SetMigrationParameters(
                [MigrationParameter.MultifdChannels, MigrationParameter.MultifdCompression], [channels, compression]));
        }

        FillRam();
        Listen();
    }

    [Theory]
    [InlineData("none")]
    [InlineData("zstd")]
    public void Guest_goes_on_at_the_receiver(string compression)
    {
        OpenWithChannels(compression);
        Migrate();
        MigrationInfo sent = AwaitEnd(_from);
        Assert.Equal((MigrationStatus.Completed, ""), (sent.Status, sent.Problem));
        Assert.Equal(MigrationStatus.Completed, AwaitEnd(_to).Status);
        RequireRuns(_to, _target);
        Assert.Equal(_machine.Ram.Span(_machine.Ram.Start, 1 << 20), _target.Ram.Span(_target.Ram.Start, 1 << 20));
        Assert.InRange(sent.NormalPages, 60, 70);
        Assert.Equal(_transport.Sent, sent.Transferred);
        bool packed = sent.Transferred < sent.NormalPages * 4096 / 10;
        Assert.InRange(sent.MultifdBytes, packed ? 1 : sent.NormalPages * 4096, sent.Transferred - 1);
        Assert.Equal(sent.NormalPages, Info(_to).NormalPages);
        Assert.Equal(compression == "zstd", packed);
        Assert.IsType<MigrationOwned>(_targetJournal.Last);
    }

    /// <summary>A channel that is lost is a lost link: the guest goes on at the sender.</summary>
    [Theory]
    [InlineData(10)]
    [InlineData(3000)]
    [InlineData(50_000)]
    [InlineData(200_000)]
    public void Link_that_is_lost_while_pages_are_sent_leaves_the_guest_with_the_sender(long after)
    {
        OpenWithChannels("none");
        _transport.CutAfterSent = after;
        Migrate();
        Assert.Equal(MigrationStatus.Failed, AwaitEnd(_from).Status);
        RequireRuns(_from, _machine);
        MigrationInfo receiver = AwaitEnd(_to);
        Assert.Equal(MigrationStatus.Failed, receiver.Status);
        Assert.DoesNotContain('\n', receiver.Problem);
        Assert.Equal(VmRunState.InMigrate, Status(_to).RunState);

        // Both can try again.
        _transport.CutAfterSent = long.MaxValue;
        Listen();
        Migrate();
        Assert.Equal("", AwaitEnd(_from).Problem);
        RequireRuns(_to, _target);
    }

    /// <summary>Before each channel somebody connects who is none: with other bytes, with none, with another session, or silent.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Strangers_among_the_channels_are_turned_away(int kind)
    {
        OpenWithChannels("none");
        var strangers = new List<TcpClient>();
        _transport.Connecting = (port, connected) =>
        {
            if (connected > 0)
            {
                var stranger = new TcpClient("127.0.0.1", port);
                strangers.Add(stranger);
                switch (kind)
                {
                    case 0:
                        stranger.GetStream().Write("GET / HTTP/1.0\r\n\r\n"u8);
                        break;
                    case 1:
                        stranger.Close();
                        break;
                    case 2:
                        var writer = new MigrationWriter(stranger.GetStream());
                        writer.WriteMagic();
                        writer.Write(MigrationRecordKind.Channel, 0, Guid.NewGuid().ToByteArray());
                        writer.Flush();
                        break;
                }
            }
        };
        Migrate();
        Assert.Equal("", AwaitEnd(_from).Problem);
        Assert.Equal(MigrationStatus.Completed, AwaitEnd(_to).Status);
        RequireRuns(_to, _target);
        Assert.Equal(_machine.Ram.Span(_machine.Ram.Start, 1 << 20), _target.Ram.Span(_target.Ram.Start, 1 << 20));
        Assert.Equal(4, strangers.Count);
        foreach (TcpClient stranger in strangers.Where(_ => kind != 1))
        {
            // The receiver has closed it.
            stranger.Client.ReceiveTimeout = (int)Patience.Limit.TotalMilliseconds;
            Assert.True(Record.Exception(() => Assert.Equal(0, stranger.Client.Receive(new byte[1]))) is null or SocketException);
        }

        strangers.ForEach(s => s.Dispose());
    }

    [Fact]
    public void Cancelled_migration_closes_its_channels()
    {
        OpenWithChannels("none");
        Done(_from, new SetMigrationParameters([MigrationParameter.MaxBandwidth], ["1000"]));
        Migrate();
        AwaitCondition(() => Info(_from).Status == MigrationStatus.Active && Info(_from).NormalPages > 0);
        Done(_from, new CancelMigration());
        Assert.Equal(MigrationStatus.Cancelled, AwaitEnd(_from).Status);
        RequireRuns(_from, _machine);
        Assert.Equal(MigrationStatus.Failed, AwaitEnd(_to).Status);
    }

    [Fact]
    public void Number_of_channels_is_the_same_at_both_sides()
    {
        OpenWithChannels("none", atReceiver: "3");
        Migrate();
        Assert.Contains("the sender has 4 multifd channels, but the receiver 3", AwaitEnd(_from).Problem);
        RequireRuns(_from, _machine);
        Assert.Equal(VmRunState.InMigrate, Status(_to).RunState);
    }

    [Fact]
    public void Combinations_that_cannot_be_are_refused_in_words_of_qemu()
    {
        _from = MakeVm(_machine, _sourceJournal);
        Assert.Equal("Postcopy is not yet compatible with multifd", Rejection(_from, new SetMigrationCapabilities(
            [MigrationCapability.Multifd, MigrationCapability.PostcopyRam], [true, true])));
        Done(_from, new SetMigrationCapabilities([MigrationCapability.Multifd], [true]));
        Assert.Equal("Migration requires multi-channel URIs (e.g. tcp)",
            Rejection(_from, new StartMigration("file:/nowhere", Resume: false)));
    }
}
