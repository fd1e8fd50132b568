using Vmm.Fleet.Scaling;

namespace Vmm.Fleet.Messages;

/// <summary>Published: what the policy of a VM has decided, or why it holds although the load asks for a change.</summary>
/// <param name="At">UTC milliseconds since 1970.</param>
/// <param name="Cpus">The CPUs to be plugged or unplugged; empty for <see cref="ScalingAction.Hold"/>.</param>
/// <param name="Load">How many CPUs are busy.</param>
/// <param name="Enabled">How many CPUs are enabled.</param>
/// <param name="Detail">The same in one line for people.</param>
public sealed record VmScaled(
    string Vm, long At, ScalingAction Action, ScalingReason Reason, int[] Cpus, double Load, int Enabled, string Detail) : IFleetMessage;
