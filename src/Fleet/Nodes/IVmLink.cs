using Vmm.Actors.Protocol;

namespace Vmm.Fleet.Nodes;

/// <summary>A VM that can be asked, in another process or in this one.</summary>
internal interface IVmLink
{
    /// <summary>Sends a request to the VM. Where the guest has a part in it, the answer is how it ended.</summary>
    /// <returns>The answer; <see cref="VmCommandRejected"/> from a VM that has ended.</returns>
    Task<IProtocolMessage> AskAsync(IProtocolMessage request, CancellationToken stop);
}
