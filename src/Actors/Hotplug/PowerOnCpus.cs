using Vmm.Actors.Protocol;
using Vmm.Emulation;
using Vmm.Emulation.Boards;

namespace Vmm.Actors.Hotplug;

/// <summary>The CPUs that a machine is made with: enabled ones first, then disabled ones, then those that can be plugged.</summary>
/// <param name="Enabled">The number of enabled ones.</param>
/// <param name="Disabled">The number of disabled ones.</param>
/// <param name="Topology">How all possible CPUs are arranged.</param>
/// <param name="CanLeave">Whether enabled CPUs other than the boot CPU can be disabled and unplugged, because the MADT calls them
/// online-capable.</param>
/// <param name="Model">The model of all CPUs, such as cortex-a57.</param>
public sealed record PowerOnCpus(int Enabled, int Disabled, CpuTopology Topology, bool CanLeave, string Model)
{
    public static PowerOnCpus Of(MachineConfig config) =>
        new(config.EnabledCpus, config.DisabledCpus, config.Topology, config.ColdPluggedCpusOnlineCapable, config.Cpu.Name)
        {
            Plugged = [.. config.PluggedCpus.Select(p => new PlugVcpu(p.Id, p.Cpu.Value))],
        };

    /// <summary>The CPUs of another machine of this topology and model, in place of these.</summary>
    public PowerOnCpus With(PowerOnSet set) => new(set.Enabled, set.Disabled, Topology, set.OnlineCapable, Model);

    /// <summary>How many there are of which kind.</summary>
    public PowerOnSet Set => new(Enabled, Disabled, CanLeave);

    /// <summary>The CPUs behind those that are plugged from power-on, each as the request that would plug it.</summary>
    public IReadOnlyList<PlugVcpu> Plugged { get; init; } = [];

    /// <summary>The number of possible CPUs.</summary>
    public int Possible => Topology.Count;

    public CpuAdminState AdminOf(int cpu) =>
        cpu < Enabled ? CpuAdminState.Enabled
        : cpu < Enabled + Disabled ? CpuAdminState.Disabled
        : CpuAdminState.Removed;

    /// <summary>Whether the MADT has the CPU as Enabled, so that it can never leave.</summary>
    public bool IsFixed(int cpu) => cpu == 0 || (cpu < Enabled && !CanLeave);

    /// <summary>The place of a CPU in the words of QEMU's messages: <c>id4=0:0:4:0</c>.</summary>
    public string PlaceOf(int cpu) => Topology.Describe(new CpuIndex(cpu));

    /// <summary>
    /// The slot of a CPU in the words of QEMU's messages, with its place and its MPIDR affinity: <c>cpu(id4=0:0:4:0) with arch-id 4</c>.
    /// </summary>
    public string SlotOf(int cpu) => $"cpu({PlaceOf(cpu)}) with arch-id {Mpidr.FromIndex(new CpuIndex(cpu)).Affinity}";
}
