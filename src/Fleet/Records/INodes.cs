using Akka.Actor;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Records;

/// <summary>The nodes of the fleet, by name.</summary>
internal interface INodes
{
    /// <summary>
    /// The supervisor of a node as it runs now, which takes <see cref="IVmRequest"/>; null for a node that is not there now.
    /// </summary>
    ICanTell? Find(string node);

    /// <summary>
    /// Whether a node is lost: it is not there, none of its VMs runs, and nothing that was asked of it before starts one.
    /// </summary>
    Task<bool> TryFenceAsync(string node);

    /// <summary>Where a VM is to be.</summary>
    Task<VmPlaced> PlaceAsync(PlaceVm vm);

    /// <summary>Tells the placement where a VM is.</summary>
    void Tell(VmLocated where);
}
