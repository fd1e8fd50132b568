using Akka.Actor;

namespace Vmm.Fleet.Records;

/// <summary>The nodes of the fleet, by name.</summary>
internal interface INodes
{
    /// <summary>The supervisor of a node, which takes <see cref="Messages.IVmRequest"/>; null for a node that is not there now.</summary>
    ICanTell? Find(string node);
}
