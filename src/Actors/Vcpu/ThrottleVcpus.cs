namespace Vmm.Actors.Vcpu;

/// <summary>To the supervisor, the vCPU manager and each vCPU: give up some of the time (auto-converge of a migration).</summary>
/// <param name="Percent">Of each vCPU's time; 0 for none.</param>
internal sealed record ThrottleVcpus(int Percent);
