namespace Vmm.Fleet.Scaling;

/// <summary>A possible CPU of a VM, as a decision sees it.</summary>
/// <param name="Index">Its number in the VM.</param>
/// <param name="CanLeave">Whether it may be unplugged; the boot CPU, and what the guest was started with, may not.</param>
public readonly record struct ScalableCpu(int Index, bool Enabled, bool CanLeave);

/// <summary>What was seen of a VM from outside.</summary>
/// <param name="At">The end of the time that it is about.</param>
/// <param name="Over">The length of that time.</param>
/// <param name="Busy">How many CPUs were busy in it, in the mean: CPU-seconds in a second.</param>
/// <param name="Cpus">All possible CPUs at its end, by number.</param>
/// <param name="Allowance">How many CPUs its owner's quota lets this VM have enabled; <see cref="int.MaxValue"/> without one.</param>
public sealed record LoadSample(
    DateTimeOffset At, TimeSpan Over, double Busy, IReadOnlyList<ScalableCpu> Cpus, int Allowance = int.MaxValue);
