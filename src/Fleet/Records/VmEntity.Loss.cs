using Akka.Actor;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Records;

/// <summary>
/// What a record does when the node that owns its VM is not there: it has the node's lease ended, ends what was under way, and has the VM
/// started elsewhere by its policy. Answers from outside come later, so each is looked at again for whether it still applies.
/// </summary>
internal sealed partial class VmEntity
{
    // How often a record looks whether its node is there, and tells where it is.
    private static readonly TimeSpan s_lookAfter = TimeSpan.FromSeconds(5);

    // What the node to which the VM moves has told of it.
    private VmReport? _arriving;

    private sealed record LookAfter : INotInfluenceReceiveTimeout;

    /// <summary>Whether a node is lost.</summary>
    private sealed record NodeFenced(string Node, bool IsLost);

    /// <summary>Where the VM of a lost node is to be.</summary>
    private sealed record Replaced(string LostNode, VmPlaced Placed);

    private VmOperation? Migration => _state.Open.FirstOrDefault(o => o.Action == VmAction.Migrate);

    private void Watch()
    {
        if (!_state.Exists)
        {
            return;
        }

        Locate();

        // Of a VM that is to be left nothing is done but that it is told.
        bool isAtIssue = _state.Policy != FailurePolicy.Leave || _state.Open.Any()
            || (_state.IsWanted && _seen is null or { Process: not 0 });
        if (isAtIssue && _nodes.Find(_state.Node) == null)
        {
            Fence(_state.Node);
        }
    }

    private void Locate() => _nodes.Tell(new VmLocated(
        _vm, _state.Node, _state.Spec.MemoryBytes, Math.Max(_seen?.EnabledCpus ?? 0, _state.Spec.Cpus),
        _state.IsWanted, _state.Spec.Placement));

    private void Fence(string node) =>
        _nodes.TryFenceAsync(node).PipeTo(Self, success: lost => new NodeFenced(node, lost));

    private bool IsLost(string node) => _state.Exists && node == _state.Node && _nodes.Find(node) == null;

    private void Lose(NodeFenced fenced)
    {
        if (!fenced.IsLost)
        {
            return;
        }

        if (Migration is { } move && fenced.Node == move.Text && _nodes.Find(move.Text) == null && IsLost(_state.Node))
        {
            // Both are lost: no process of the VM is anywhere.
            EndLost();
        }
        else if (!IsLost(fenced.Node))
        {
            return;
        }
        else if (Migration is { } moving && _steps.TryGetValue(moving.Id, out OperationStep? step) && !OperationSteps.IsLeave(step.Request))
        {
            Settle(moving);
        }
        else
        {
            EndLost();
        }
    }

    // The VM was moving when the node that it left was lost. It may have arrived; if not, the process that waits for it is to end first.
    private void Settle(VmOperation move)
    {
        if (_nodes.Find(move.Text) == null)
        {
            Fence(move.Text);
        }
        else if (_arriving is { State: ProcessState.Running })
        {
            End(move, RequestOutcome.Done, $"node '{_state.Node}' is lost; the VM had arrived", []);
        }
        else if (_steps[move.Id].Request is not EndVm)
        {
            Step(move.Id, new OperationStep(move.Text, new EndVm(_vm, $"{move.Id}.abort", 0)));
        }
    }

    // Ends what the lost node had to do. A start goes on elsewhere.
    private void EndLost()
    {
        string why = $"node '{_state.Node}' is lost";
        _last = null;
        bool starts = _state.Policy != FailurePolicy.Leave;
        foreach (VmOperation operation in _state.Open.Where(o => !starts || o.Action != VmAction.Start).ToArray())
        {
            bool isSo = operation.Action is VmAction.Stop or VmAction.Delete;
            End(operation, isSo ? RequestOutcome.Done : RequestOutcome.Failed, why, []);
        }

        DeferAsync(why, _ =>
        {
            _seen = new VmReport(_vm, ProcessState.Failed, why, 0, 0);
            if (_state.Exists && starts)
            {
                string lost = _state.Node;
                _nodes.PlaceAsync(ToPlace(_state.Spec)).PipeTo(Self, success: placed => new Replaced(lost, placed));
            }
        });
    }

    private PlaceVm ToPlace(VmSpec spec) => new(_vm, spec.MemoryBytes, spec.Cpus, spec.Placement);

    private void Replace(Replaced replaced)
    {
        if (!IsLost(replaced.LostNode) || _state.Open.Any(o => o.Action != VmAction.Start))
        {
            return;
        }

        if (replaced.Placed.Node.Length == 0)
        {
            Serilog.Log.Warning("{Vm}: {Reason}", _vm, replaced.Placed.Refusal);
            return;
        }

        Serilog.Log.Warning("{Vm}: node {Lost} is lost; it is at node {Node} now", _vm, replaced.LostNode, replaced.Placed.Node);
        Persist(new VmMoved(replaced.Placed.Node, Now), moved =>
        {
            _state.Apply(_vm, moved);
            _seen = null;
            TellScaler();
            Locate();
            VmOperation[] starts = [.. _state.Open];
            foreach (VmOperation start in starts.Where(o => _steps.ContainsKey(o.Id)))
            {
                Step(start.Id, OperationSteps.First(_state, start));
            }

            if (starts.Length == 0 && _state.IsWanted)
            {
                Persist(new OperationBegun(VmState.OwnId(LastSequenceNr + 1), VmAction.Start, 0, "", Now), begun => Begin(begun));
            }
        });
    }
}
