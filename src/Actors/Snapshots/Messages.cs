using Akka.Actor;
using Vmm.Actors.Hotplug;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Snapshots;

namespace Vmm.Actors.Snapshots;

/// <summary>
/// To the supervisor: one at a time saves, loads or moves the VM. Answer: <see cref="VmClaimed"/>, or <see cref="VmCommandRejected"/> with
/// what the one who has it does. It ends with <see cref="DisclaimVm"/>, or with the sender.
/// </summary>
/// <param name="What">What is done with it: a sentence.</param>
internal sealed record ClaimVm(string What);

internal sealed record VmClaimed;

internal sealed record DisclaimVm;

/// <summary>
/// To the supervisor: hold the VM still, under a run state of its own. Answer: <see cref="VmHeld"/>, or <see cref="VmCommandRejected"/>. A
/// guest that has just reset itself or powered off does so first.
/// </summary>
internal sealed record HoldVm(VmRunState State);

/// <summary>
/// No vCPU runs, time stands still, and commands wait. <see cref="ReleaseVm"/>, <see cref="RemakeVm"/> or <see cref="FailVm"/> ends it. A
/// part that ends meanwhile ends it too, which <see cref="VmCommandRejected"/> tells.
/// </summary>
/// <param name="From">The run state before.</param>
/// <param name="Slots">The coordinator of PCI hotplug.</param>
/// <param name="Hotplug">That of CPUs; null on a machine without.</param>
internal sealed record VmHeld(VmRunState From, IActorRef Gic, IActorRef Devices, IActorRef Slots, IActorRef? Hotplug);

/// <summary>To the supervisor of a held VM: go on.</summary>
/// <param name="As">The run state; null for that before <see cref="HoldVm"/>.</param>
/// <param name="Detail">Why, for people; only with <paramref name="As"/>.</param>
internal sealed record ReleaseVm(VmRunState? As = null, string Detail = "");

/// <summary>To the supervisor of a held VM: stop all parts, so that the machine is nobody's. Answer: <see cref="PartsStopped"/>.</summary>
internal sealed record StopParts;

internal sealed record PartsStopped;

/// <summary>
/// To the supervisor, after <see cref="StopParts"/>: RAM and CPUs have been loaded. It makes the parts anew, has each device's actor load
/// its state, and holds the VM. Answer: <see cref="VmHeld"/>, or <see cref="VmCommandRejected"/> when a device refuses its state.
/// </summary>
/// <param name="Devices">In the order in which they are loaded.</param>
/// <param name="LastOst">What the guest said last of each CPU; null on a machine without hotplug.</param>
internal sealed record RemakeVm(IReadOnlyList<LoadDeviceState> Devices, LastOst? LastOst);

/// <summary>To the supervisor, after <see cref="StopParts"/>: the machine is half loaded; a reset is the way out.</summary>
internal sealed record FailVm(string Report);

/// <summary>
/// To a hotplug coordinator: finish what is under way between CPUs or devices and machine, and begin nothing. Requests that the guest has
/// not answered stay so. Answer of that of CPUs: <see cref="HotplugFrozen"/>, or <see cref="VmCommandRejected"/> when the journal cannot be
/// written; of that of PCI: <see cref="SlotsFrozen"/>.
/// </summary>
internal sealed record FreezeHotplug;

/// <summary>What is under way in slots, and moves along with the guest, changes no more until <see cref="ThawHotplug"/>.</summary>
internal sealed record SlotsFrozen;

/// <param name="State">All that the coordinator knows; requests wait until <see cref="ThawHotplug"/>.</param>
internal sealed record HotplugFrozen(HotplugState State, LastOst LastOst);

internal sealed record ThawHotplug;

/// <summary>
/// To a frozen coordinator: the guest was handed over to another process, where all requests end. New ones are rejected until
/// <see cref="ThawHotplug"/>.
/// </summary>
internal sealed record HandOverHotplug;

/// <summary>
/// To a frozen coordinator: write to the journal that the CPUs are as in a snapshot. Answer: <see cref="HotplugRestored"/> or
/// <see cref="VmCommandRejected"/>. The coordinator is to be made anew then.
/// </summary>
internal sealed record RestoreHotplug(HotplugState State);

internal sealed record HotplugRestored;

/// <summary>To the vCPU manager of a machine that was loaded: the CPUs that PSCI has as on run when they are resumed.</summary>
internal sealed record StartLoadedVcpus;

/// <summary>To the supervisor, which passes it on: the VM runs with RAM that was mapped from files.</summary>
/// <param name="Snapshot">Was loaded; the receiver's from now on.</param>
internal sealed record FollowLoad(Snapshot Snapshot);
