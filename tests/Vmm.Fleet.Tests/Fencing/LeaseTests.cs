using System.Diagnostics;
using System.Globalization;
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

        // What is fenced has no VMs.
        Assert.False((await next.Held.WaitAsync(Patience.Limit)).IsFounder);
        Assert.True(lease.IsHeld);
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
