using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;

namespace Vmm.Actors.Hotplug;

/// <summary>Where the administrator has a CPU: usable by the guest, there but not to be used, or not there.</summary>
public enum CpuAdminState
{
    Enabled,
    Disabled,

    /// <summary>To be plugged. For the guest there is no difference to <see cref="Disabled"/>: on Arm every possible CPU is present.</summary>
    Removed,
}

/// <summary>The CPUs that a machine is made with: enabled ones first, then disabled ones, then those that can be plugged.</summary>
/// <param name="Enabled">How many are enabled.</param>
/// <param name="Disabled">How many are disabled.</param>
/// <param name="Possible">How many there are of all.</param>
/// <param name="CanLeave">Whether the enabled ones but the boot CPU can be disabled and unplugged: the MADT has them as online-capable.</param>
public sealed record PowerOnCpus(int Enabled, int Disabled, int Possible, bool CanLeave)
{
    public static PowerOnCpus Of(MachineConfig config) => new(config.EnabledCpus, config.DisabledCpus, config.PossibleCpus, config.ColdPluggedCpusOnlineCapable)
    {
        Plugged = [.. config.PluggedCpus.Select(p => new PlugVcpu(p.Id, p.Cpu.Value))],
    };

    /// <summary>CPUs of the others that are plugged from power-on.</summary>
    public IReadOnlyList<PlugVcpu> Plugged { get; init; } = [];

    public CpuAdminState AdminOf(int cpu) =>
        cpu < Enabled ? CpuAdminState.Enabled
        : cpu < Enabled + Disabled ? CpuAdminState.Disabled
        : CpuAdminState.Removed;

    /// <summary>Whether the CPU is Enabled in the MADT, for good.</summary>
    public bool IsFixed(int cpu) => cpu == 0 || (cpu < Enabled && !CanLeave);
}
