using Npgsql;
using Serilog;
using Vmm.Management.Control;
using Vmm.Management.Text;

namespace Vmm.Fleet.Fencing;

/// <summary>
/// Holds the lease of this node for one run of it, and watches those of the others.
/// <para>
/// The clock of each machine is CLOCK_BOOTTIME of that machine, and no time leaves it. A holder that reads t before it renews may run VMs
/// until t + <see cref="Term"/>; their processes end then, in the kernel. Whoever watches sees the count of renewals change, and reads u
/// after it: u is after t. When the count is the same at u + <see cref="Wait"/>, which allows for clocks whose speeds differ by a fiftieth,
/// the VMs have ended, and the lease may be fenced. A renewal and a fence exclude each other in the database.
/// </para>
/// <para>
/// A node that does not see most of the others is about to be removed by them, so it renews no more, and its next run takes the lease over
/// only if it can join: its VMs are elsewhere the sooner. A member that cannot renew, for it does not reach the database, is removed by
/// those who do.
/// </para>
/// <para>
/// When nobody renews there is no cluster, and one node makes it: that which is the first to say so in the database. The others join it
/// there. One that has said so and is gone before it is a member is taken for dead after <see cref="Wait"/>. Whoever says so has read who
/// made the last cluster before it watched the others, and the database takes its word only if that is still so: a cluster that was made
/// meanwhile is seen. A member that finds that another cluster was made after its own ends, so that one alone stays.
/// </para>
/// The thread is its own, and its calls wait: a pool of threads that is jammed must not end VMs.
/// </summary>
internal sealed class LeaseKeeper : IDisposable
{
    private const long Second = 1_000_000_000;

    /// <summary>How long VMs may run after a renewal: nanoseconds.</summary>
    public const long Term = 30 * Second;

    /// <summary>How long a lease must have stood still before it is fenced: nanoseconds.</summary>
    public const long Wait = Term + (Term / 50) + Second;

    private static readonly TimeSpan s_period = TimeSpan.FromSeconds(3);

    private readonly LeaseTable _table;
    private readonly NodeLease _lease;
    private readonly string _node;
    private readonly string _place;
    private readonly string _address;
    private readonly ILeaseMember _member;
    private readonly Guid _run = Guid.NewGuid();
    private readonly ManualResetEventSlim _stop = new();
    private readonly TaskCompletionSource<Founding> _held = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<string> _lost = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Thread _thread;

    // Of a node of this name in another place, as it was first seen. The thread's.
    private LeaseRow? _watchedFrom;

    // Since when every renewal was done, and the last of them: nanoseconds. The thread's.
    private long _renewsSince;
    private long _renewedAt;

    // Who made or makes the cluster, as it was read before the others were watched, and since when that is so: nanoseconds. The thread's.
    private FoundingRow? _founder;
    private long _founderSince;

    // Others were seen to renew after that. The thread's.
    private bool _isThereACluster;

    // When it was settled how the node comes into the cluster: nanoseconds. The thread's.
    private long _settledAt;

    // This run makes the cluster, and is no member yet. The thread's.
    private bool _founds;

    // It has been a member. The thread's.
    private bool _wasMember;

    // The run that made the cluster of this node; null until that is known. The thread's.
    private Guid? _cluster;

    // What was seen last. It is replaced as a whole by the thread, and read by others.
    private volatile IReadOnlyDictionary<string, Sight> _seen = new Dictionary<string, Sight>(StringComparer.Ordinal);

    /// <param name="table">Is the keeper's from here on.</param>
    /// <param name="lease">Is told until when VMs may run. It is the keeper's, too.</param>
    /// <param name="place">The folder of the node and its machine: a run in the same place is the next of this node.</param>
    /// <param name="address">HOST:PORT where it listens for the other nodes.</param>
    public LeaseKeeper(LeaseTable table, NodeLease lease, string node, string place, string address, ILeaseMember member)
    {
        (_table, _lease, _node, _place, _address, _member) = (table, lease, node, place, address, member);
        _thread = new Thread(Run) { Name = "lease", IsBackground = true };
        _thread.Start();
    }

    /// <summary>How the node comes into the cluster.</summary>
    /// <param name="IsFounder">It makes the cluster, for nobody is in one.</param>
    /// <param name="Address">HOST:PORT of the node that has made the cluster, or is about to; null if that is not known.</param>
    internal sealed record Founding(bool IsFounder, string? Address);

    /// <summary>A lease as it stands.</summary>
    /// <param name="Since">When it was first seen so: nanoseconds.</param>
    /// <param name="HasRenewed">Its run was seen to renew: it was a member.</param>
    private sealed record Sight(LeaseRow Row, long Since, bool HasRenewed);

    /// <summary>Completes when the node has its lease, and it is known whether there is a cluster.</summary>
    public Task<Founding> Held => _held.Task;

    /// <summary>Completes with the reason when the node has lost its lease, or cannot have it: the run is to end.</summary>
    public Task<string> Lost => _lost.Task;

    /// <summary>
    /// Ends the lease of a node that has not renewed it for long enough. When the answer is true, no process of its VMs is there any more,
    /// and what was asked of its run starts none.
    /// </summary>
    /// <exception cref="NpgsqlException">The database does not answer.</exception>
    public bool TryFence(string node)
    {
        if (!_seen.TryGetValue(node, out Sight? seen))
        {
            return false;
        }

        if (!seen.Row.IsFenced)
        {
            return ProcessDeadline.Now - seen.Since >= Wait && _table.Fence(seen.Row);
        }

        // What was seen may be over: the node may be back.
        return _table.Read().Any(row => row.Node == node && row.IsFenced);
    }

    public void Dispose()
    {
        _stop.Set();
        _thread.Join();
        _table.Dispose();
        _lease.Dispose();
        _stop.Dispose();
    }

    private void Run()
    {
        bool isPrepared = false;
        for (bool isHeld = false; !_lost.Task.IsCompleted; _stop.Wait(s_period))
        {
            if (_stop.IsSet)
            {
                return;
            }

            try
            {
                if (!isPrepared)
                {
                    _table.Prepare();
                    isPrepared = true;
                }

                LookForACluster();
                long before = ProcessDeadline.Now;
                if (!isHeld)
                {
                    isHeld = TryHold();
                }
                else if (!_member.MayRenew)
                {
                    _renewsSince = 0;
                    Watch();
                    Settle();
                    GiveUpJoining(before);
                    continue;
                }
                else if (!_table.Renew(_node, _run))
                {
                    _lost.TrySetResult("its lease has ended: others may have started its VMs");
                    return;
                }

                Watch();
                if (isHeld)
                {
                    _wasMember |= _member.MayRenew;
                    _lease.Deadline = before + Term;
                    Settle();
                    RemoveLapsed(before);
                    EndFounding();
                    KeepToOneCluster();
                }
            }
            catch (NpgsqlException e)
            {
                _renewsSince = 0;
                Log.Warning("The lease of {Node} cannot be renewed: {Reason}", _node, SystemError.Describe(e));
            }
        }
    }

    private void LookForACluster()
    {
        if (_held.Task.IsCompleted)
        {
            return;
        }

        FoundingRow? founder = _table.ReadFounding();
        if (founder != _founder || _founderSince == 0)
        {
            (_founder, _founderSince) = (founder, ProcessDeadline.Now);
        }

        _isThereACluster = DoOthersRenew();
    }

    // Says whether there is a cluster, or who makes it, if that is known.
    private void Settle()
    {
        if (_held.Task.IsCompleted)
        {
            return;
        }

        FoundingRow? founder = _table.ReadFounding();
        _settledAt = ProcessDeadline.Now;
        if (_isThereACluster || (founder is { IsDone: false } && founder.Node != _node && _member.Reaches(founder.Address)))
        {
            _held.TrySetResult(new Founding(IsFounder: false, founder?.Address));
        }
        else if (founder == _founder
            && (founder is null or { IsDone: true } || founder.Node == _node || _settledAt - _founderSince >= Wait))
        {
            _founds = _table.BeginFounding(founder, _node, _address, _run);
            if (_founds)
            {
                _held.TrySetResult(new Founding(IsFounder: true, null));
            }
        }
    }

    // The node that was to make the cluster may be gone, or those that were in one. The next run looks anew.
    private void GiveUpJoining(long now)
    {
        if (_held.Task.IsCompleted && !_wasMember && !_founds && now - _settledAt >= Wait
            && !_seen.Values.Any(s => s.HasRenewed && s.Row.Node != _node && now - s.Since < Wait))
        {
            _lost.TrySetResult("it has waited to join the others, and none of them is in a cluster");
        }
    }

    private void EndFounding()
    {
        if (_founds && _member.MayRenew)
        {
            _founds = false;
            if (!_table.EndFounding(_run))
            {
                _lost.TrySetResult("another node has made a cluster meanwhile");
            }
        }
    }

    // Two clusters would have two actors for one record.
    private void KeepToOneCluster()
    {
        if (_held.Task.IsCompleted && _table.ReadFounding() is { IsDone: true } made)
        {
            _cluster ??= made.Run;
            if (_cluster != made.Run)
            {
                _lost.TrySetResult($"node {made.Node} has made a cluster meanwhile");
            }
        }
    }

    // A run in another place is watched first: there may be two nodes of one name. A run that cannot join the others leaves the lease of
    // the run before as it is, so that it is fenced, and stays so until all records that need that have seen it.
    private bool TryHold()
    {
        if (_table.Read().FirstOrDefault(row => row.Node == _node) is not { } old)
        {
            return _table.Begin(_node, _place, _run);
        }

        if (old.IsFenced || old.Place == _place)
        {
            return (!_isThereACluster || CanJoin()) && _table.Take(old, _place, _run);
        }

        Watch();
        (LeaseRow row, long since, _) = _seen[_node];
        if (ProcessDeadline.Now - since >= Wait)
        {
            return _table.Fence(row) && _table.Take(row with { IsFenced = true }, _place, _run);
        }

        if (_watchedFrom is { } first && first.Renewals != row.Renewals)
        {
            _lost.TrySetResult($"there is a node of this name at {row.Place}");
        }

        _watchedFrom ??= row;
        return false;
    }

    // By a seed, or where the cluster was made.
    private bool CanJoin() => _member.ReachesSeed()
        || (_founder is { } founder && founder.Node != _node && _member.Reaches(founder.Address));

    // A node makes a new cluster only if nobody is in one. Members alone renew: a run that has only just begun is in none.
    private bool DoOthersRenew()
    {
        Watch();
        LeaseRow[] others = [.. _seen.Values.Select(s => s.Row).Where(row => row.Node != _node && !row.IsFenced)];
        for (int i = 0; i < 3 && others.Length > 0 && !_stop.IsSet; i++)
        {
            _stop.Wait(s_period);
            Watch();
            if (others.Any(row => _seen.TryGetValue(row.Node, out Sight? now)
                && now.Row.Run == row.Run && now.Row.Renewals != row.Renewals))
            {
                return true;
            }
        }

        return false;
    }

    // After a renewal. Of what was not seen all the while nothing is said: the database may have been away for all.
    private void RemoveLapsed(long now)
    {
        if (_renewsSince == 0 || now - _renewedAt > Term / 2)
        {
            _renewsSince = now;
        }

        _renewedAt = now;
        foreach (Sight seen in _seen.Values)
        {
            if (seen is { HasRenewed: true, Row.IsFenced: false } && seen.Row.Node != _node
                && now - Math.Max(seen.Since, _renewsSince) >= Wait)
            {
                _member.Remove(seen.Row.Node);
            }
        }
    }

    private void Watch()
    {
        IReadOnlyList<LeaseRow> rows = _table.Read();
        long now = ProcessDeadline.Now;
        _seen = rows.ToDictionary(
            row => row.Node,
            row => !_seen.TryGetValue(row.Node, out Sight? before) ? new Sight(row, now, HasRenewed: false)
                : before.Row == row ? before
                : new Sight(row, now, before.Row.Run == row.Run && before.Row.Renewals != row.Renewals),
            StringComparer.Ordinal);
    }
}
