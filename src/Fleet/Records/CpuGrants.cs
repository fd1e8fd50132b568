using Akka.Actor;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Records;

/// <summary>
/// What one VM may have of its owner's quota. An operation that may bring CPUs waits for the account's answer first; what the VM does not
/// need any more is given back. The record's alone.
/// </summary>
/// <param name="vm">The VM.</param>
/// <param name="accounts">The accounts of all owners.</param>
/// <param name="self">The record, which gets the answers.</param>
internal sealed class CpuGrants(string vm, ICanTell accounts, IActorRef self)
{
    // Ids of operations have no blank.
    private const string GiveBackId = " ";

    private readonly Dictionary<string, AskCpus> _waiting = new(StringComparer.Ordinal);

    // What the account has answered last; -1 before.
    private int _granted = -1;

    /// <summary>Whether an operation may bring CPUs.</summary>
    public static bool BringsCpus(VmOperation operation) => operation.Action
        is VmAction.Start or VmAction.Restore or VmAction.Plug or VmAction.Enable or VmAction.Resize;

    /// <summary>Asks for what an operation may bring; false if it brings no CPU.</summary>
    /// <param name="state">The record, of which the operation is part already.</param>
    /// <param name="enabled">CPUs that are enabled; 0 without a process.</param>
    public bool AskFor(VmState state, VmOperation operation, int enabled)
    {
        int plugs = state.Open.Count(o => o.Action is VmAction.Plug or VmAction.Enable);
        int? cpus = operation.Action switch
        {
            VmAction.Start or VmAction.Restore => Math.Max(state.Spec.Cpus, enabled),
            VmAction.Plug or VmAction.Enable => Math.Max(enabled, 1) + plugs,
            VmAction.Resize => operation.Number,
            _ => null,
        };
        if (cpus == null || (operation.Action == VmAction.Resize && cpus <= enabled))
        {
            return false;
        }

        Ask(operation.Id, state.Owner, Math.Max(cpus.Value, _granted));
        return true;
    }

    /// <summary>Asks again for what was not answered.</summary>
    public void AskAgain()
    {
        foreach (AskCpus ask in _waiting.Values)
        {
            accounts.Tell(ask, self);
        }
    }

    /// <summary>Whether an operation waits for its answer.</summary>
    public bool Has(string operation) => _waiting.ContainsKey(operation);

    /// <summary>The operation that an answer is for; null for none.</summary>
    public string? Take(CpusAnswered answer)
    {
        bool isKnown = _waiting.Remove(answer.Id);
        _granted = isKnown ? answer.Granted : _granted;
        if (answer is { Id: GiveBackId, Refusal.Length: > 0 })
        {
            Serilog.Log.Warning("{Vm}: it has more CPUs than were granted: {Reason}", vm, answer.Refusal);
        }

        return isKnown && answer.Id != GiveBackId ? answer.Id : null;
    }

    /// <summary>While nothing is under way: the account is told how many CPUs the VM has, until it has answered.</summary>
    public void Match(VmState state, int enabled)
    {
        if (enabled != _granted)
        {
            Ask(GiveBackId, state.Owner, enabled);
        }
    }

    private void Ask(string id, string owner, int cpus)
    {
        _waiting[id] = new AskCpus(owner, vm, id, cpus);
        accounts.Tell(_waiting[id], self);
    }
}
