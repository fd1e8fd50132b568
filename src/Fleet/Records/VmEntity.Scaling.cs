using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Scaling;

namespace Vmm.Fleet.Records;

/// <summary>What a record does for the policy of its VM, and what it tells to who looks at the VM.</summary>
internal sealed partial class VmEntity
{
    // What the history of a VM has of each.
    private const int ToldOperations = 40;
    private const int ToldDecisions = 40;

    // The last decisions of the policy.
    private readonly Queue<VmScaled> _decisions = new();

    // There is one while there is a VM.
    private IActorRef? _scaler;

    private VmHistory History() => new(Describe(), [.. _state.Last(ToldOperations)], [.. _decisions]);

    private void Note(VmScaled decided)
    {
        _decisions.Enqueue(decided);
        if (_decisions.Count > ToldDecisions)
        {
            _decisions.Dequeue();
        }
    }

    private void TellScaler()
    {
        if (_scaler == null)
        {
            (string vm, INodes nodes, ICanTell accounts) = (_vm, _nodes, _accounts);
            _scaler = Context.Watch(Context.ActorOf(ActorProps.Of(() => new VmScaler(vm, nodes, accounts))));
            if (_last != null)
            {
                _scaler.Tell(new VmScaler.Drain());
            }
        }

        _scaler.Tell(new VmScaler.Follow(_state.Owner, _state.Node, _state.Spec.Scaling));
    }

    private void Set(SetScaling set)
    {
        if (!_state.Exists)
        {
            Sender.Tell(NotFound());
        }
        else if (set.Scaling?.FindProblem(_state.Spec.MaxCpus) is { } problem)
        {
            Sender.Tell(new VmRejected(_vm, VmRejectionCode.Invalid, problem));
        }
        else
        {
            Persist(new ScalingSet(set.Scaling, Now), happened =>
            {
                _state.Apply(_vm, happened);
                TellScaler();
                Sender.Tell(Describe());
            });
        }
    }

    // Each CPU of a decision is an operation of its own. One that comes when another request of the VM is under way is for nothing: the
    // policy decides again.
    private void Scale(ScalingDecision decision)
    {
        VmAction action = decision.Action == ScalingAction.Plug ? VmAction.Plug : VmAction.Unplug;
        if (!_state.Exists || _state.Open.Any(o => o.Action != VmAction.Migrate && o.Action != VmAction.Save))
        {
            foreach (int cpu in decision.Cpus)
            {
                _scaler?.Tell(new VmScaler.CpuEnded(cpu, ScalingOutcome.Cancelled));
            }

            return;
        }

        PersistAll(
            decision.Cpus.Select((cpu, i) => new OperationBegun(VmState.OwnId(LastSequenceNr + 1 + i), action, cpu, "", Now)).ToArray(),
            begun => Begin(begun));
    }
}
