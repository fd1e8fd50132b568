using System.Diagnostics;
using System.Globalization;
using Npgsql;
using Vmm.Fleet.Fencing;
using Vmm.Fleet.Tests.Cluster;
using Vmm.Host.Guest;
using Vmm.Management.Control;

namespace Vmm.Fleet.Tests.Fencing;

/// <summary>Leases in a real PostgreSQL, and the deadlines of real VMs.</summary>
public sealed class LeaseTests(PostgresServer postgres) : IClassFixture<PostgresServer>, IDisposable
{
    private const string Node = "node1";

    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-").FullName;
    private int _leases;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>A cluster that is made up. Any thread.</summary>
    private sealed class Member : ILeaseMember
    {
        private volatile bool _renews = true;
        private volatile bool _reaches = true;

        public bool MayRenew
        {
            get => _renews;
            set => _renews = value;
        }

        public bool Reaches
        {
            set => _reaches = value;
        }

        /// <summary>Completes with a node that is to be removed, and when.</summary>
        public TaskCompletionSource<(string Node, long At)> Removed { get; } =
            new(TaskCreationOptions.RunContinuationsAsynchronously);

        public bool ReachesSeed() => _reaches;

        bool ILeaseMember.Reaches(string address) => _reaches;

        public void Remove(string node) => Removed.TrySetResult((node, ProcessDeadline.Now));
    }

    private static async Task<object?> RunAsync(NpgsqlConnection connection, string statement)
    {
        await using var command = new NpgsqlCommand(statement, connection);
        return await command.ExecuteScalarAsync();
    }

    private NodeLease NewLease() => new(Path.Combine(_folder, $"deadline{++_leases}"));

    // The time at which something is seen by the keeper is after the time at which this is called.
    private static async Task<TimeSpan> FencedAfterAsync(LeaseKeeper watcher, string node)
    {
        var start = Stopwatch.StartNew();
        while (!watcher.TryFence(node))
        {
            Assert.True(start.Elapsed < Patience.Limit);
            await Task.Delay(20);
        }

        return start.Elapsed;
    }

    [Fact]
    public void Renewal_and_fence_exclude_each_other()
    {
        using var table = new LeaseTable(postgres.NewDatabase());
        table.Prepare();
        table.Prepare();
        var run = Guid.NewGuid();
        Assert.True(table.Begin(Node, "here", run));
        Assert.False(table.Begin(Node, "there", Guid.NewGuid()));
        LeaseRow seen = Assert.Single(table.Read());
        Assert.Equal(new LeaseRow(Node, "here", run, 1, IsFenced: false), seen);
        Assert.True(table.Renew(Node, run));
        Assert.False(table.Fence(seen));
        Assert.True(table.Fence(seen = Assert.Single(table.Read())));
        Assert.False(table.Renew(Node, run));

        // The next run takes it once.
        var next = Guid.NewGuid();
        seen = seen with { IsFenced = true };
        Assert.True(table.Take(seen, "here", next));
        Assert.False(table.Take(seen, "here", Guid.NewGuid()));
        Assert.False(table.Renew(Node, run));
        Assert.True(table.Renew(Node, next));
    }

    [Fact]
    public async Task Lease_that_is_not_renewed_is_fenced_after_it_has_ended()
    {
        string database = postgres.NewDatabase();
        NodeLease held = NewLease();
        var member = new Member();
        using var holder = new LeaseKeeper(new LeaseTable(database), held, Node, "here", "127.0.0.1:1", member);
        Assert.True((await holder.Held.WaitAsync(Patience.Limit)).IsFounder);
        using var watcher = new LeaseKeeper(new LeaseTable(database), NewLease(), "node2", "there", "127.0.0.1:1", new Member());
        Assert.False((await watcher.Held.WaitAsync(Patience.Limit)).IsFounder, "the other one renews: there is a cluster");
        Assert.False(watcher.TryFence(Node));
        member.MayRenew = false;
        await FencedAfterAsync(watcher, Node);
        Assert.False(held.IsHeld);
        Assert.True(ProcessDeadline.Now > held.Deadline);
        Assert.True(watcher.TryFence(Node));
        Assert.False(watcher.Lost.IsCompleted);

        // Its holder finds that, and ends.
        member.MayRenew = true;
        Assert.StartsWith("its lease has ended", await holder.Lost.WaitAsync(Patience.Limit), StringComparison.Ordinal);
        Assert.False(held.IsHeld);

        // The next run of the node has a lease of its own.
        NodeLease next = NewLease();
        using var again = new LeaseKeeper(new LeaseTable(database), next, Node, "here", "127.0.0.1:1", new Member());
        await again.Held.WaitAsync(Patience.Limit);
        Assert.True(next.IsHeld);
        Assert.False(watcher.TryFence(Node));
    }

    [Fact]
    public async Task Member_that_cannot_renew_is_removed_by_one_that_could_all_the_while()
    {
        string database = postgres.NewDatabase();
        Member member = new(), other = new();
        using var watcher = new LeaseKeeper(new LeaseTable(database), NewLease(), "node2", "there", "127.0.0.1:1", other);
        await watcher.Held.WaitAsync(Patience.Limit);
        NodeLease held = NewLease();
        using var holder = new LeaseKeeper(new LeaseTable(database), held, Node, "here", "127.0.0.1:1", member);
        await holder.Held.WaitAsync(Patience.Limit);
        long begun = held.Deadline;
        Patience.Until(() => held.Deadline > begun + LeaseKeeper.Term, "it has renewed for some time");

        // What the other one does not see for a while is not held against the node.
        member.MayRenew = false;
        other.MayRenew = false;
        await Task.Delay(TimeSpan.FromSeconds(5));
        Assert.False(other.Removed.Task.IsCompleted);
        long again = ProcessDeadline.Now;
        other.MayRenew = true;
        (string node, long at) = await other.Removed.Task.WaitAsync(Patience.Limit);
        Assert.Equal(Node, node);
        Assert.True(at >= again + LeaseKeeper.Wait);
        Assert.False(held.IsHeld);
        Assert.False(member.Removed.Task.IsCompleted);
    }

    [Fact]
    public async Task Run_that_cannot_join_the_others_does_not_take_over()
    {
        string database = postgres.NewDatabase();
        using (var first = new LeaseKeeper(new LeaseTable(database), NewLease(), Node, "here", "127.0.0.1:1", new Member()))
        {
            await first.Held.WaitAsync(Patience.Limit);
        }

        using var other = new LeaseKeeper(new LeaseTable(database), NewLease(), "node2", "there", "127.0.0.1:1", new Member());
        await other.Held.WaitAsync(Patience.Limit);
        using var table = new LeaseTable(database);
        LeaseRow before = table.Read().Single(row => row.Node == Node);
        NodeLease lease = NewLease();
        var member = new Member { Reaches = false };
        using var next = new LeaseKeeper(new LeaseTable(database), lease, Node, "here", "127.0.0.1:1", member);
        while (!other.TryFence(Node))
        {
            Assert.False(next.Held.IsCompleted);
            Assert.Equal(before, table.Read().Single(row => row.Node == Node));
            await Task.Delay(20);
        }

        // It stays fenced as long as the run cannot join, for records may still wait for that.
        await Task.Delay(TimeSpan.FromSeconds(10));
        Assert.True(other.TryFence(Node));
        Assert.False(next.Held.IsCompleted);

        // What is fenced has no VMs.
        member.Reaches = true;
        Assert.False((await next.Held.WaitAsync(Patience.Limit)).IsFounder);
        Assert.True(lease.IsHeld);
    }

    /// <summary>
    /// A node has watched another one that did not renew yet, and before it looks who makes the cluster the other has made it: it joins,
    /// and makes none of its own.
    /// </summary>
    [Fact]
    public async Task Cluster_that_is_made_while_a_node_looks_for_one_is_not_missed()
    {
        const string Other = "node2";
        string database = postgres.NewDatabase();
        using var table = new LeaseTable(database);
        table.Prepare();
        var run = Guid.NewGuid();
        Assert.True(table.Begin(Other, "there", run));
        Assert.True(table.BeginFounding(null, Other, "127.0.0.1:1", run));
        await using var connection = new NpgsqlConnection(database);
        await connection.OpenAsync();
        using var keeper = new LeaseKeeper(
            new LeaseTable(database), NewLease(), Node, "here", "127.0.0.1:2", new Member { MayRenew = false, Reaches = false });

        // It has read who makes the cluster, and watches.
        await Patience.UntilAsync(
            async () => await RunAsync(
                connection, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%FROM vmm_lease%' "
                    + "AND pid != pg_backend_pid()") is > 0L,
            "it watches");
        await using (NpgsqlTransaction transaction = await connection.BeginTransactionAsync())
        {
            await RunAsync(connection, "LOCK TABLE vmm_founding IN ACCESS EXCLUSIVE MODE");
            Patience.Until(() => table.Read().Any(row => row.Node == Node), "it has its lease");
            await RunAsync(connection, "UPDATE vmm_lease SET renewals = renewals + 1 WHERE node = 'node2'");
            await RunAsync(connection, "UPDATE vmm_founding SET done = true");
            await transaction.CommitAsync();
        }

        await Task.WhenAny(keeper.Held, KeepRenewingAsync()).WaitAsync(Patience.Limit);
        Assert.False((await keeper.Held).IsFounder);
        Assert.Equal(run, table.ReadFounding()!.Run);

        async Task KeepRenewingAsync()
        {
            while (!keeper.Held.IsCompleted)
            {
                await Task.Delay(1000);
                table.Renew(Other, run);
            }
        }
    }

    [Fact]
    public async Task Member_ends_when_another_cluster_was_made()
    {
        string database = postgres.NewDatabase();
        using var table = new LeaseTable(database);
        using var keeper = new LeaseKeeper(new LeaseTable(database), NewLease(), Node, "here", "127.0.0.1:1", new Member());
        Assert.True((await keeper.Held.WaitAsync(Patience.Limit)).IsFounder);
        await Patience.UntilAsync(() => Task.FromResult(table.ReadFounding()!.IsDone), "it has made the cluster");
        var run = Guid.NewGuid();
        Assert.True(table.BeginFounding(table.ReadFounding(), "node2", "127.0.0.1:2", run));
        await Task.Delay(TimeSpan.FromSeconds(4));
        Assert.False(keeper.Lost.IsCompleted, "it is not made yet");
        Assert.True(table.EndFounding(run));
        Assert.Equal("node node2 has made a cluster meanwhile", await keeper.Lost.WaitAsync(Patience.Limit));
    }

    /// <summary>The node that was to make the cluster has gone: the run ends, so that the next one looks anew.</summary>
    [Fact]
    public async Task Run_does_not_wait_for_ever_to_join_nobody()
    {
        string database = postgres.NewDatabase();
        using var table = new LeaseTable(database);
        table.Prepare();
        Assert.True(table.BeginFounding(null, "node2", "127.0.0.1:1", Guid.NewGuid()));
        using var keeper = new LeaseKeeper(
            new LeaseTable(database), NewLease(), Node, "here", "127.0.0.1:2", new Member { MayRenew = false });
        Assert.False((await keeper.Held.WaitAsync(Patience.Limit)).IsFounder);
        Assert.StartsWith("it has waited to join", await keeper.Lost.WaitAsync(Patience.Limit), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_in_the_same_place_takes_over_and_a_node_of_the_same_name_elsewhere_is_refused()
    {
        string database = postgres.NewDatabase();
        using var first = new LeaseKeeper(new LeaseTable(database), NewLease(), Node, "here", "127.0.0.1:1", new Member());
        await first.Held.WaitAsync(Patience.Limit);
        using (var elsewhere = new LeaseKeeper(new LeaseTable(database), NewLease(), Node, "there", "127.0.0.1:1", new Member()))
        {
            Assert.Equal("there is a node of this name at here", await elsewhere.Lost.WaitAsync(Patience.Limit));
        }

        using var second = new LeaseKeeper(new LeaseTable(database), NewLease(), Node, "here", "127.0.0.1:1", new Member());
        await second.Held.WaitAsync(Patience.Limit);
        Assert.StartsWith("its lease has ended", await first.Lost.WaitAsync(Patience.Limit), StringComparison.Ordinal);
    }

    /// <summary>A VM ends at its deadline, also when its process stands still, and no sooner when that is put off.</summary>
    [Fact]
    public async Task Kernel_ends_a_VM_at_its_deadline()
    {
        const long Second = 1_000_000_000;
        string image = Path.Combine(_folder, "image"), control = Path.Combine(_folder, "control");
        await File.WriteAllBytesAsync(image, RunningVms.Writer);
        using NodeLease lease = NewLease();
        string[] command = ["-m", "64M", "-kernel", image, "-serial", "none", "-deadline", lease.Path];
        Assert.Equal(137, (await VmmProcess.RunAsync(command)).ExitCode);

        // It sees a later time, and an earlier one.
        lease.Deadline = ProcessDeadline.Now + (Second * (long)Patience.Limit.TotalSeconds);
        using Process vm = VmmProcess.Start([.. command, "-control", $"unix:{control}"]);
        try
        {
            Patience.Until(() => vm.HasExited || File.Exists(control), "the VM runs");
            Assert.False(vm.HasExited);
            lease.Deadline = ProcessDeadline.Now + (30 * Second);
            Patience.Until(() => ProcessDeadline.Now > lease.Deadline - (15 * Second), "it has seen that");
            lease.Deadline += 15 * Second;
            long last = lease.Deadline;
            Patience.Until(() => ProcessDeadline.Now > last - (10 * Second), "it has seen that, too");
            Assert.False(vm.HasExited);

            // What it does not see any more, for it stands still, does not help.
            using Process stop = Process.Start("kill", ["-STOP", vm.Id.ToString(CultureInfo.InvariantCulture)]);
            await stop.WaitForExitAsync();
            lease.Deadline = long.MaxValue;
            await vm.WaitForExitAsync().WaitAsync(Patience.Limit);
            Assert.True(ProcessDeadline.Now >= last);
            Assert.Equal(137, vm.ExitCode);
        }
        finally
        {
            if (!vm.HasExited)
            {
                vm.Kill();
                await vm.WaitForExitAsync();
            }
        }

        (int code, _, string said) = await VmmProcess.RunAsync(["-kernel", image, "-deadline", "/nonexistent/file"]);
        Assert.Equal(1, code);
        Assert.StartsWith("vmm: cannot use the deadline '/nonexistent/file': ", said, StringComparison.Ordinal);
    }
}
