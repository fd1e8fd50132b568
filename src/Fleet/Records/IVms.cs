using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Records;

/// <summary>What can be asked of VMs: of those of a fleet, or of one by itself. Any thread.</summary>
internal interface IVms
{
    /// <summary>Whether VMs can be asked now.</summary>
    bool IsUp { get; }

    /// <summary>
    /// The answer of the record of a VM: <see cref="VmRecord"/>, <see cref="VmOperation"/>, <see cref="VmHistory"/> or
    /// <see cref="VmRejected"/>.
    /// </summary>
    /// <exception cref="Akka.Actor.AskTimeoutException">There is none in time. Whether the request was kept is not known.</exception>
    Task<IFleetMessage> AskAsync(IVmRecordMessage message, CancellationToken stop);

    /// <summary>The answer of what has a VM at a node; null if there is no such node now, or it does not answer in time.</summary>
    Task<T?> AskAsync<T>(string node, IVmQuery query, CancellationToken stop)
        where T : class, IFleetMessage;

    /// <summary>The names of all VMs that there are or have been.</summary>
    /// <exception cref="RecordsException">They cannot be read now.</exception>
    Task<IReadOnlyList<string>> ListAsync();

    /// <summary>What this node sees of its VMs.</summary>
    Task<NodeReport> ReportAsync(CancellationToken stop);

    /// <summary>
    /// Has what this node sees of its VMs told, each change at once: <see cref="VmReport"/>; and of records that are here
    /// the ends of operations, <see cref="VmOperation"/>, decisions of policies, <see cref="VmScaled"/>, and times, <see cref="VmTimes"/>.
    /// </summary>
    /// <param name="happened">Takes them, in order; it does not wait.</param>
    /// <returns>What ends it when it is disposed.</returns>
    IDisposable Subscribe(Action<IFleetMessage> happened);

    /// <summary>
    /// Has what all nodes see of their VMs told, first as it is and then each change, <see cref="VmSeen"/>; and the ends of operations,
    /// <see cref="VmOperation"/>, and decisions of policies, <see cref="VmScaled"/>, of all records.
    /// </summary>
    /// <param name="happened">Takes them, of each node in order; it does not wait.</param>
    /// <returns>What ends it when it is disposed.</returns>
    IDisposable Follow(Action<IFleetMessage> happened);
}
