namespace Vmm.Fleet.Messages;

/// <summary>An event of a VM's record, as it is kept.</summary>
public interface IVmRecordEvent : IFleetMessage
{
    /// <summary>UTC milliseconds since 1970.</summary>
    long At { get; }
}

public sealed record VmCreated(string Id, string Owner, string Node, FailurePolicy Policy, VmSpec Spec, long At) : IVmRecordEvent;

/// <summary>A request is to be carried out.</summary>
public sealed record OperationBegun(string Id, VmAction Action, int Number, string Text, long At) : IVmRecordEvent;

/// <summary>A request has ended.</summary>
public sealed record OperationEnded(string Id, RequestOutcome Outcome, string Detail, CpuOutcome[] Cpus, long At) : IVmRecordEvent;

/// <summary>The VM runs at another node, which owns it from here on.</summary>
public sealed record VmMoved(string Node, long At) : IVmRecordEvent;

/// <summary>The guest has powered off of its own accord: the VM is no longer to run.</summary>
public sealed record GuestPoweredDown(long At) : IVmRecordEvent;

/// <summary>All of the VM was removed; another one may have its name.</summary>
public sealed record VmDeleted(long At) : IVmRecordEvent;

/// <summary>The VM follows its load in another way; null for not at all.</summary>
public sealed record ScalingSet(ScalingSpec? Scaling, long At) : IVmRecordEvent;
