using Akka.Actor;
using Akka.TestKit;
using Vmm.Actors.Journals;
using Vmm.Actors.Migration;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vcpu;
using Vmm.Actors.Vm;
using Vmm.Emulation.Migration;

namespace Vmm.Actors.Tests;

/// <summary>Two VMs and a real link between them: who runs the guest, whatever is lost when, and what hotplug does beside it.</summary>
public sealed class MigrationTests : MigrationTestKit
{
    [Fact]
    public void Guest_goes_on_at_the_receiver_with_its_ram_and_plugged_cpus()
    {
        Open();
        FillRam();
        PlugAndConfirm(_from, "extra", 2);
        Migrate();
        Assert.Equal(MigrationStatus.Completed, AwaitEnd(_from).Status);
        Assert.Equal(MigrationStatus.Completed, AwaitEnd(_to).Status);
        Assert.Equal(VmRunState.PostMigrate, Status(_from).RunState);
        Assert.False(_machine.ClockRuns);
        RequireRuns(_to, _target);
        Assert.Equal(_machine.Ram.Span(_machine.Ram.Start, 1 << 20), _target.Ram.Span(_target.Ram.Start, 1 << 20));
        Assert.Equal([true, true, true, false], Enumerable.Range(0, 4).Select(_target.IsEnabled));
        Assert.Contains("clock advanced", _target.Log);
        Assert.IsType<MigrationGone>(_sourceJournal.Last);
        Assert.IsType<MigrationOwned>(_targetJournal.Last);
        _to.Tell(new GetPluggedVcpus(), TestActor);
        Assert.Equal(["extra"], ExpectMsg<PluggedVcpus>(s_patience).Ids);
    }

    [Fact]
    public void Paused_guest_stays_paused_at_the_receiver()
    {
        Open();
        _from.Tell(new StopVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Paused, ""), s_patience);
        Migrate();
        Assert.Equal(MigrationStatus.Completed, AwaitEnd(_from).Status);
        AwaitStatus(_to, VmRunState.Paused);
        Assert.DoesNotContain("clock advanced", _target.Log);
    }

    [Fact]
    public void Guest_that_arrives_where_it_is_to_be_paused_is()
    {
        Open();
        _to.Tell(new StopVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.InMigrate, ""), s_patience);
        Migrate();
        Assert.Equal(MigrationStatus.Completed, AwaitEnd(_to).Status);
        Assert.Equal(VmRunState.Paused, Status(_to).RunState);
    }

    // How many bytes each side of a migration of this machine writes.
    private (long Sent, long Answered) Measure()
    {
        Open();
        FillRam();
        Migrate();
        AwaitEnd(_from);
        AwaitEnd(_to);
        return (_transport.Sent, _transport.Answered);
    }

    private void RequireOneRuns(MigrationInfo info)
    {
        VmRunState source = Status(_from).RunState;
        MigrationInfo target = AwaitEnd(_to);
        AwaitCondition(() => Status(_to).RunState != VmRunState.FinishMigrate);
        VmStatus other = Status(_to);
        Assert.True(source != VmRunState.Running || other.RunState != VmRunState.Running, $"both run: {info.Problem}; {target.Problem}");
        switch (source)
        {
            case VmRunState.Running:
                Assert.Equal(MigrationStatus.Failed, info.Status);
                Assert.Contains(other.RunState, (VmRunState[])[VmRunState.InMigrate, VmRunState.Paused]);
                Assert.IsNotType<MigrationLeft>(_sourceJournal.Last);
                break;
            case VmRunState.PostMigrate when info.Status == MigrationStatus.Failed:
                // Nobody here knows whether it runs there: both say so, or it does.
                Assert.Contains("it may run there", Status(_from).Detail);
                Assert.IsType<MigrationLeft>(_sourceJournal.Last);
                Assert.True(other.RunState == VmRunState.Running || other.Detail.Contains("it may run at the sender"), other.ToString());
                break;
            default:
                Assert.Equal(VmRunState.PostMigrate, source);
                Assert.Equal(VmRunState.Running, other.RunState);
                break;
        }
    }

    public static TheoryData<double> Parts => [0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999];

    [Theory]
    [MemberData(nameof(Parts))]
    public void Link_that_is_lost_while_the_sender_sends_leaves_the_guest_with_it(double part)
    {
        long sent = Measure().Sent - MigrationRecord.HeaderSize;
        CutAndMigrate(after: (long)(sent * part), answered: long.MaxValue);
        RequireRuns(_from, _machine);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(12)]
    [InlineData(23)]
    public void Link_that_is_lost_within_commit_leaves_both_paused(int bytes)
    {
        (long sent, _) = Measure();
        MigrationInfo info = CutAndMigrate(after: sent - MigrationRecord.HeaderSize + bytes, answered: long.MaxValue);
        Assert.Equal(VmRunState.PostMigrate, Status(_from).RunState);
        Assert.Equal(VmRunState.Paused, Status(_to).RunState);
        Assert.Contains("it may run there", info.Problem);

        // A person decides.
        _from.Tell(new ContinueVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Running, ""), s_patience);
        RequireRuns(_from, _machine);
        AwaitCondition(() => _sourceJournal.Last is MigrationOwned);
        PlugAndConfirm(_from, "extra", 2);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(23)]
    public void Link_that_is_lost_within_ready_leaves_the_guest_with_the_sender(int bytes)
    {
        Measure();
        CutAndMigrate(after: long.MaxValue, answered: MigrationRecord.HeaderSize + bytes);
        RequireRuns(_from, _machine);
        Assert.Contains("it may run at the sender", Status(_to).Detail);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(23)]
    public void Link_that_is_lost_within_running_leaves_the_guest_with_the_receiver(int bytes)
    {
        Measure();
        CutAndMigrate(after: long.MaxValue, answered: (2 * MigrationRecord.HeaderSize) + bytes);
        RequireRuns(_to, _target);
        Assert.Equal(VmRunState.PostMigrate, Status(_from).RunState);
    }

    // Another pair of machines, of the same kind, between which the link is lost.
    private MigrationInfo CutAndMigrate(long after, long answered)
    {
        Sys.Stop(_to);
        _target = new FakeMachine(enabled: 2, possible: 4);
        _from.Tell(new ContinueVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Running, ""), s_patience);
        AwaitCondition(() => _sourceJournal.Last is MigrationOwned);
        OpenTarget();
        _transport.CutAfterSent = after == long.MaxValue ? after : _transport.Sent + after;
        _transport.CutAfterAnswered = answered == long.MaxValue ? answered : _transport.Answered + answered;
        Migrate();
        MigrationInfo info = AwaitEnd(_from);
        RequireOneRuns(info);
        return info;
    }

    [Fact]
    public void Journal_that_cannot_be_written_keeps_the_guest_at_the_sender()
    {
        Open();
        _sourceJournal.IsFull = true;
        Migrate();
        MigrationInfo info = AwaitEnd(_from);
        Assert.Equal(MigrationStatus.Failed, info.Status);
        Assert.Contains(FakeJournal.Full, info.Problem);
        RequireRuns(_from, _machine);
        AwaitEnd(_to);
        Assert.NotEqual(VmRunState.Running, Status(_to).RunState);
    }

    [Fact]
    public void Receiver_whose_journal_cannot_be_written_refuses_the_guest()
    {
        Open();
        _targetJournal.IsFull = true;
        Migrate();
        MigrationInfo info = AwaitEnd(_from);
        Assert.Contains(FakeJournal.Full, info.Problem);
        RequireRuns(_from, _machine);
        Assert.NotEqual(VmRunState.Running, Status(_to).RunState);
    }

    [Fact]
    public void Machines_that_differ_are_told_each_difference_before_ram_moves()
    {
        _target = new FakeMachine(enabled: 2, possible: 8);
        Open();
        FillRam();
        Migrate();
        Assert.Contains("cores 4 (here 8)", AwaitEnd(_from).Problem);
        RequireRuns(_from, _machine);
        Assert.True(_transport.Sent < 4096, $"{_transport.Sent} bytes were sent");
    }

    [Theory]
    [InlineData(0.1)]
    [InlineData(0.5)]
    [InlineData(0.9)]
    public void Sender_is_told_that_its_stream_came_damaged(double part)
    {
        long sent = Measure().Sent;
        _transport.DamageSent = _transport.Sent + (long)(sent * part);
        MigrationInfo info = CutAndMigrate(after: long.MaxValue, answered: long.MaxValue);
        Assert.StartsWith("the receiver refuses: the migration stream", info.Problem, StringComparison.Ordinal);
        RequireRuns(_from, _machine);
        Assert.Equal(VmRunState.InMigrate, Status(_to).RunState);
    }

    [Fact]
    public void Receiver_lets_go_of_who_says_nothing_and_takes_the_next()
    {
        _helloTimeout = TimeSpan.FromSeconds(3);
        Open();
        using Stream silent = Connect();
        using Stream slow = Connect();
        slow.Write("VMM"u8);

        // Both are let go of before the sender is heard.
        Migrate();
        Assert.Equal(0, silent.Read(new byte[1]));
        MigrationInfo info = AwaitEnd(_from);
        Assert.True(info.Status == MigrationStatus.Completed, info.Problem);
        RequireRuns(_to, _target);
    }

    /// <summary>The receiver's VM is held from the sender's first word on; a part of it that fails then ends the migration.</summary>
    [Theory]
    [InlineData("devices/rtc")]
    [InlineData("gic")]
    public void Part_of_a_waiting_VM_that_fails_while_RAM_comes_refuses_the_guest(string part)
    {
        Open();
        Done(_from, new SetMigrationCapabilities([MigrationCapability.PauseBeforeSwitchover], [true]));
        Migrate();
        AwaitCondition(() => Info(_from).Status == MigrationStatus.PreSwitchover && Info(_to).Status == MigrationStatus.Active);
        Sys.ActorSelection(_to.Path / part.Split('/')).Tell(Kill.Instance);
        AwaitStatus(_to, VmRunState.InternalError);
        Done(_from, new ContinueMigration(MigrationStatus.PreSwitchover));
        MigrationInfo info = AwaitEnd(_from);
        Assert.Equal(MigrationStatus.Failed, info.Status);
        Assert.StartsWith("the receiver refuses: Resetting the Virtual Machine is required (", info.Problem, StringComparison.Ordinal);
        RequireRuns(_from, _machine);
        Assert.Equal(MigrationStatus.Failed, AwaitEnd(_to).Status);
        Assert.Equal(VmRunState.InternalError, Status(_to).RunState);
        Assert.DoesNotContain("loaded", _target.Log);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Link_that_is_yanked_is_lost(bool atSender)
    {
        Open();
        Assert.Equal("Instance not found", Rejection(_from, new YankMigration()));
        Done(_from, new SetMigrationCapabilities([MigrationCapability.PauseBeforeSwitchover], [true]));
        Migrate();
        AwaitCondition(() => Info(_from).Status == MigrationStatus.PreSwitchover);
        Done(atSender ? _from : _to, new YankMigration());
        AwaitEnd(_to);
        if (!atSender)
        {
            // It finds the link lost when it next uses it.
            Done(_from, new ContinueMigration(MigrationStatus.PreSwitchover));
        }

        Assert.Equal(MigrationStatus.Failed, AwaitEnd(_from).Status);
        RequireRuns(_from, _machine);
        Assert.Equal(VmRunState.InMigrate, Status(_to).RunState);
    }

    [Fact]
    public void Nobody_at_the_address_fails_the_migration_and_the_guest_goes_on()
    {
        Open();
        Sys.Stop(_to);
        AwaitCondition(() => !CanConnect());
        Migrate();
        Assert.Equal(MigrationStatus.Failed, AwaitEnd(_from).Status);
        RequireRuns(_from, _machine);
    }

    private Stream Connect() => _transport.Parse(_address, "", "").ConnectAsync(CancellationToken.None).Result;

    private bool CanConnect()
    {
        try
        {
            Connect().Dispose();
            return true;
        }
        catch (AggregateException)
        {
            return false;
        }
    }

    [Fact]
    public void Switch_over_waits_for_a_person_where_it_is_to()
    {
        Open();
        Done(_from, new SetMigrationCapabilities([MigrationCapability.PauseBeforeSwitchover], [true]));
        Migrate();
        AwaitCondition(() => Info(_from).Status == MigrationStatus.PreSwitchover);
        Assert.Equal(VmRunState.FinishMigrate, Status(_from).RunState);
        Assert.Contains("not in expected state", Rejection(_from, new ContinueMigration(MigrationStatus.Device)));
        Done(_from, new ContinueMigration(MigrationStatus.PreSwitchover));
        Assert.Equal(MigrationStatus.Completed, AwaitEnd(_from).Status);
        RequireRuns(_to, _target);
    }

    [Fact]
    public void Cancelled_migration_leaves_the_guest_here_and_another_can_follow()
    {
        Open();
        Done(_from, new SetMigrationCapabilities([MigrationCapability.PauseBeforeSwitchover], [true]));
        Migrate();
        AwaitCondition(() => Info(_from).Status == MigrationStatus.PreSwitchover);
        Assert.Equal("There's a migration process in progress", Rejection(_from, new StartMigration(_address, false)));
        Assert.Equal("There's a migration process in progress", Rejection(_from, new SetMigrationCapabilities([], [])));
        Done(_from, new CancelMigration());
        Assert.Equal(MigrationStatus.Cancelled, AwaitEnd(_from).Status);
        RequireRuns(_from, _machine);
        AwaitEnd(_to);
        AwaitStatus(_to, VmRunState.InMigrate);
        Done(_from, new SetMigrationCapabilities([MigrationCapability.PauseBeforeSwitchover], [false]));
        Listen();
        Migrate();
        Assert.Equal(MigrationStatus.Completed, AwaitEnd(_from).Status);
        RequireRuns(_to, _target);
    }

    [Fact]
    public void Requests_of_hotplug_end_once_on_the_side_that_runs()
    {
        Open();
        _from.Tell(new PlugVcpu("pending", 3), TestActor);
        ExpectMsg(new HotplugAccepted("pending", 3), s_patience);
        AwaitLog("insert 3");
        TestProbe outcomes = CreateTestProbe();
        Sys.EventStream.Subscribe(outcomes, typeof(HotplugOutcome));
        Migrate();
        Assert.Equal(MigrationStatus.Completed, AwaitEnd(_from).Status);
        _from.Tell(new PlugVcpu("late", 2), TestActor);
        Assert.Contains("handed over", ExpectMsg<HotplugRejected>(s_patience).Reason);
        _target.Port.Ost(3, 1, 0);
        Assert.Equal(
            new HotplugOutcome("pending", 3, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0),
            outcomes.ExpectMsg<HotplugOutcome>(s_patience));
        PlugAndConfirmAtTarget("more", 2);
        outcomes.ExpectMsg<HotplugOutcome>(s_patience);
        outcomes.ExpectNoMsg(TimeSpan.Zero);
    }

    private void PlugAndConfirmAtTarget(string id, int cpu)
    {
        _to.Tell(new PlugVcpu(id, cpu), TestActor);
        ExpectMsg(new HotplugAccepted(id, cpu), s_patience);
        AwaitCondition(() => _target.Log.Contains($"insert {cpu}"));
        _target.Port.Ost(cpu, 1, 0);
        ExpectMsg(new HotplugOutcome(id, cpu, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0), s_patience);
    }

    [Fact]
    public void Reset_of_what_was_handed_over_boots_a_guest_of_its_own()
    {
        Open();
        Migrate();
        AwaitEnd(_from);
        _from.Tell(new ResetVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Paused, ""), s_patience);
        PlugAndConfirm(_from, "extra", 2);
    }

    [Fact]
    public void Receiver_that_waits_refuses_what_needs_a_guest()
    {
        Open();
        foreach (IProtocolMessage command in (IProtocolMessage[])[new StartVm(), new ResetVm(), new PrepareVm()])
        {
            Assert.Equal("the VM waits for a migration", Rejection(_to, command));
        }

        _to.Tell(new PlugVcpu("a", 2), TestActor);
        Assert.Equal("the VM waits for a migration", ExpectMsg<HotplugRejected>(s_patience).Reason);
        Assert.Equal("'-incoming' was not specified on the command line", Rejection(_from, new ReceiveMigration("tcp:0")));
    }

    // The guest runs at the receiver, and next to nothing of its RAM is there.
    private void StartPostcopy()
    {
        Open();
        FillRam();
        Done(_from, new SetMigrationCapabilities([MigrationCapability.PostcopyRam], [true]));
        Done(_from, new SetMigrationParameters([MigrationParameter.MaxBandwidth, MigrationParameter.MaxPostcopyBandwidth], ["1", "1"]));
        Migrate();
        AwaitCondition(() => Info(_from).Status == MigrationStatus.Active);
        Done(_from, new StartPostcopy());
        AwaitCondition(() => Info(_from).Status == MigrationStatus.PostcopyActive);
        AwaitStatus(_to, VmRunState.Running);
        Assert.InRange(Info(_from).DowntimeBytes, 1, Info(_from).Transferred);
        Assert.Equal(VmRunState.PostMigrate, Status(_from).RunState);
        Assert.True(_target.MissingPages.Count > 0);
    }

    // As a vCPU does that waits for pages.
    private void Touch(params int[] pages)
    {
        foreach (int page in pages)
        {
            AwaitCondition(() =>
            {
                byte[] bytes = new byte[1];
                return _target.TryRead(page, bytes) && bytes[0] == (byte)page;
            });
        }
    }

    [Fact]
    public void Guest_runs_at_the_receiver_before_its_ram_is_there_and_asks_for_it()
    {
        StartPostcopy();
        Touch(198, 3, 99);
        Assert.Contains("There's a migration process", Rejection(_from, new ContinueVm()));
        Assert.Contains("cannot be cancelled", Rejection(_from, new CancelMigration()));
        Done(_from, new SetMigrationParameters([MigrationParameter.MaxPostcopyBandwidth], ["0"]));
        MigrationInfo sent = AwaitEnd(_from);
        Assert.Equal(MigrationStatus.Completed, sent.Status);
        Assert.InRange(sent.PostcopyBytes, 3 * 4096, sent.Transferred - sent.DowntimeBytes);
        Assert.Equal(MigrationStatus.Completed, AwaitEnd(_to).Status);
        Assert.Equal(_machine.Ram.Span(_machine.Ram.Start, 1 << 20), _target.Ram.Span(_target.Ram.Start, 1 << 20));
        RequireRuns(_to, _target);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Link_that_is_lost_while_pages_are_missing_is_taken_up_again(bool atSender)
    {
        StartPostcopy();
        Touch(198);
        Done(atSender ? _from : _to, new PauseMigration());
        AwaitCondition(() => Info(_from).Status == MigrationStatus.PostcopyPaused && Info(_to).Status == MigrationStatus.PostcopyPaused);

        // Asked for while nobody can answer.
        Assert.False(_target.TryRead(150, new byte[1]));
        Assert.Contains("Migrate recover", Rejection(_from, new RecoverMigration("tcp:nobody")));
        _to.Tell(new RecoverMigration("tcp:0"), TestActor);
        _address = ExpectMsg<MigrationStarted>(s_patience).Address;
        _from.Tell(new StartMigration(_address, Resume: true), TestActor);
        ExpectMsg<MigrationStarted>(s_patience);
        Touch(150);
        Done(_from, new SetMigrationParameters([MigrationParameter.MaxPostcopyBandwidth], ["0"]));
        Assert.Equal(MigrationStatus.Completed, AwaitEnd(_from).Status);
        Assert.Equal(MigrationStatus.Completed, AwaitEnd(_to).Status);
        Assert.Equal(_machine.Ram.Span(_machine.Ram.Start, 1 << 20), _target.Ram.Span(_target.Ram.Start, 1 << 20));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Receiver_that_is_reset_while_pages_are_missing_needs_them_no_more(bool recovering)
    {
        StartPostcopy();
        Assert.Contains("postcopy", Rejection(_to, new SaveSnapshot("a", Replace: true, Compress: false)));
        Done(_to, new PauseMigration());
        AwaitCondition(() => Info(_to).Status == MigrationStatus.PostcopyPaused);
        if (recovering)
        {
            _to.Tell(new RecoverMigration("tcp:0"), TestActor);
            ExpectMsg<MigrationStarted>(s_patience);
        }

        _target.OnReset = _target.Ram.Clear;
        _to.Tell(new ResetVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Running, ""), s_patience);
        Assert.Equal(recovering ? "" : "the machine was reset before all of the guest's RAM had come", AwaitEnd(_to).Problem);
        RequireRuns(_to, _target);
    }

    [Fact]
    public void Capabilities_and_parameters_are_set_all_or_none()
    {
        Open();
        Assert.Contains("'rdma-pin-all' is not supported", Rejection(_from, new SetMigrationCapabilities(
            [MigrationCapability.AutoConverge, MigrationCapability.RdmaPinAll], [true, true])));
        _from.Tell(new GetMigrationCapabilities(), TestActor);
        Assert.DoesNotContain(true, ExpectMsg<MigrationCapabilities>(s_patience).On);
        Assert.Contains("'downtime_limit' expects an integer in the range of 0 to", Rejection(_from, new SetMigrationParameters(
            [MigrationParameter.MaxBandwidth, MigrationParameter.DowntimeLimit], ["1", "2000001"])));
        Done(_from, new SetMigrationParameters([MigrationParameter.DowntimeLimit], ["7"]));
        _from.Tell(new GetMigrationParameters(), TestActor);
        string[] values = ExpectMsg<MigrationParameters>(s_patience).Values;
        Assert.Equal("7", values[(int)MigrationParameter.DowntimeLimit]);
        Assert.Equal("134217728", values[(int)MigrationParameter.MaxBandwidth]);
    }

    [Fact]
    public void Dirty_rate_is_measured_beside_nothing_else()
    {
        Open();
        Done(_from, new MeasureDirtyRate(50));
        AwaitCondition(() =>
        {
            _from.Tell(new GetDirtyRate(), TestActor);
            DirtyRate rate = ExpectMsg<DirtyRate>(s_patience);
            return !rate.Measuring && rate.StartedAt > 0;
        });
        Migrate();
        Assert.Equal(MigrationStatus.Completed, AwaitEnd(_from).Status);
    }
}
