using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Records;

/// <summary>What the events of a VM's record add up to. It is changed by them alone.</summary>
internal sealed class VmState
{
    // The operations that have ended and are still told of.
    private const int KeptOperations = 200;

    // No id that others give has a dot.
    private const string OwnPrefix = "policy.";

    private readonly Dictionary<string, VmOperation> _operations = new(StringComparer.Ordinal);
    private readonly List<string> _order = [];
    private readonly List<string> _snapshots = [];
    private VmCreated? _created;
    private bool _hasStarted;

    /// <summary>Whether there is such a VM.</summary>
    public bool Exists => _created != null;

    public string Owner => _created!.Owner;

    /// <summary>The node that owns the VM: nowhere else may it run, but while it moves.</summary>
    public string Node { get; private set; } = "";

    public FailurePolicy Policy => _created!.Policy;

    /// <summary>As it was created, with the policy of scaling that holds now.</summary>
    public VmSpec Spec { get; private set; } = null!;

    /// <summary>Whether the VM is to run.</summary>
    public bool IsWanted { get; private set; }

    /// <summary>Whether a start goes on from the snapshot that the VM was made of: the first one does, if there is one.</summary>
    public bool StartsFromSnapshot => !_hasStarted && Spec.Snapshot.Length > 0;

    /// <summary>The snapshots that were saved, the last one last.</summary>
    public IReadOnlyList<string> Snapshots => _snapshots;

    /// <summary>The operations that have not ended, in their order.</summary>
    public IEnumerable<VmOperation> Open => _order.Select(id => _operations[id]).Where(o => !o.IsDone);

    /// <summary>The last operations, the newest last.</summary>
    public IEnumerable<VmOperation> Last(int count) => _order.TakeLast(count).Select(id => _operations[id]);

    /// <summary>An operation; null if it is not known.</summary>
    public VmOperation? Find(string id) => _operations.GetValueOrDefault(id);

    public void Apply(string vm, IVmRecordEvent happened)
    {
        switch (happened)
        {
            case VmCreated created:
                _created = created;
                Node = created.Node;
                Spec = created.Spec;
                (IsWanted, _hasStarted) = (false, false);
                _snapshots.Clear();
                Add(new VmOperation(
                    vm, created.Id, VmAction.Create, 0, "", true, RequestOutcome.Done, "", [], created.At, created.At));
                break;
            case OperationBegun begun:
                Add(new VmOperation(
                    vm, begun.Id, begun.Action, begun.Number, begun.Text, false, RequestOutcome.Done, "", [], begun.At, 0));
                IsWanted = begun.Action switch
                {
                    VmAction.Start or VmAction.Restore => true,
                    VmAction.Stop or VmAction.Delete => false,
                    _ => IsWanted,
                };
                break;
            case OperationEnded ended:
                End(ended);
                break;
            case VmMoved moved:
                Node = moved.Node;

                // They are in the folder of the node that had it.
                _snapshots.Clear();
                break;
            case ScalingSet set:
                Spec = Spec with { Scaling = set.Scaling };
                break;
            case GuestPoweredDown:
                IsWanted = false;
                break;
            case VmDeleted:
                _created = null;
                break;
        }
    }

    /// <summary>The id of an operation that nobody has asked for: it goes by the policy of the VM.</summary>
    public static string OwnId(long number) => $"{OwnPrefix}{number}";

    /// <summary>Whether nobody has asked for an operation.</summary>
    public static bool IsOfOurOwn(string id) => id.StartsWith(OwnPrefix, StringComparison.Ordinal);

    private void Add(VmOperation operation)
    {
        _operations[operation.Id] = operation;
        _order.Add(operation.Id);
        if (_order.Count > KeptOperations && _order.FindIndex(id => _operations[id].IsDone) is >= 0 and int oldest)
        {
            _operations.Remove(_order[oldest]);
            _order.RemoveAt(oldest);
        }
    }

    private void End(OperationEnded ended)
    {
        VmOperation operation = _operations[ended.Id] with
        {
            IsDone = true, Outcome = ended.Outcome, Detail = ended.Detail, Cpus = ended.Cpus, EndedAt = ended.At,
        };
        _operations[ended.Id] = operation;
        if (operation is { Action: VmAction.Save, Outcome: RequestOutcome.Done })
        {
            AddSnapshot(operation.Text);
        }
        else if (operation is { Action: VmAction.Start or VmAction.Restore, Outcome: RequestOutcome.Done })
        {
            if (operation.Action == VmAction.Start && StartsFromSnapshot)
            {
                // The VM has it from then on.
                AddSnapshot(Spec.SnapshotTag);
            }

            _hasStarted = true;
        }
        else if (operation.Action is VmAction.Start or VmAction.Restore && operation.Outcome != RequestOutcome.Done
            && !IsOfOurOwn(operation.Id) && !Open.Any(o => o.Action is VmAction.Start or VmAction.Restore))
        {
            // Whoever asked for it was told: it is not tried again behind his back.
            IsWanted = false;
        }
    }

    private void AddSnapshot(string tag)
    {
        _snapshots.Remove(tag);
        _snapshots.Add(tag);
    }
}
