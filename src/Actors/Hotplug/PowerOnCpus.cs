using Vmm.Actors.Protocol;
using Vmm.Emulation;
using Vmm.Emulation.Boards;

namespace Vmm.Actors.Hotplug;

/// <summary>The CPUs that a machine is made with: enabled ones first, then disabled ones, then those that can be plugged.</summary>
/// <param name="Enabled">How many are enabled.</param>
/// <param name="Disabled">How many are disabled.</param>
/// <param name="Topology">How all of them are arranged.</param>
/// <param name="CanLeave">Whether the enabled ones but the boot CPU can be disabled and unplugged: the MADT has them as
/// online-capable.</param>
/// <param name="Model">The model of all CPUs, such as cortex-a57.</param>
public sealed record PowerOnCpus(int Enabled, int Disabled, CpuTopology Topology, bool CanLeave, string Model)
{
    public static PowerOnCpus Of(MachineConfig config) =>
        new(config.EnabledCpus, config.DisabledCpus, config.Topology, config.ColdPluggedCpusOnlineCapable, config.Cpu.Name)
        {
            Plugged = [.. config.PluggedCpus.Select(p => new PlugVcpu(p.Id, p.Cpu.Value))],
        };

    /// <summary>CPUs of the others that are plugged from power-on.</summary>
    public IReadOnlyList<PlugVcpu> Plugged { get; init; } = [];

    /// <summary>How many CPUs there are of all.</summary>
    public int Possible => Topology.Count;

    public CpuAdminState AdminOf(int cpu) =>
        cpu < Enabled ? CpuAdminState.Enabled
        : cpu < Enabled + Disabled ? CpuAdminState.Disabled
        : CpuAdminState.Removed;

    /// <summary>Whether the CPU is Enabled in the MADT, for good.</summary>
    public bool IsFixed(int cpu) => cpu == 0 || (cpu < Enabled && !CanLeave);

    /// <summary>Where a CPU is, as QEMU's messages have it: <c>id4=0:0:4:0</c>.</summary>
    public string PlaceOf(int cpu) => Topology.Describe(new CpuIndex(cpu));

    /// <summary>A CPU slot as QEMU's messages name it: <c>cpu(id4=0:0:4:0) with arch-id 4</c>, its place and its MPIDR affinity.</summary>
    public string SlotOf(int cpu) => $"cpu({PlaceOf(cpu)}) with arch-id {Mpidr.FromIndex(new CpuIndex(cpu)).Affinity}";
}
