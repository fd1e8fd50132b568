using Vmm.Actors.Hotplug;
using Vmm.Actors.Migration;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vcpu;
using Vmm.Actors.Vm;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Snapshots;
using Vmm.Emulation.State;

namespace Vmm.Actors.Snapshots;

/// <summary>The state of a VM that stands still, but for its RAM.</summary>
/// <param name="Units">Of the machine, of its devices and of hotplug; an owner other than the machine is in front of the id.</param>
/// <param name="Cpus">Each possible CPU.</param>
/// <param name="Clock">The guest's counter.</param>
/// <param name="At">The host's time when it was taken.</param>
internal sealed record VmState(IReadOnlyList<SavedUnit> Units, SavedCpu[] Cpus, ulong Clock, DateTimeOffset At)
{
    internal const string Hotplug = "hotplug";
    internal const string Vcpus = "vcpus";

    // Input that the guest has not read is the most that an actor keeps (UartActor).
    private const long OfActors = 20 << 20;
    private const long OfDevice = 64 << 10;
    private const long OfCpu = 64 << 10;

    /// <param name="devices">The archive of each device.</param>
    /// <param name="frozen">Null on a machine without hotplug.</param>
    public static VmState Of(IVmMachine machine, IReadOnlyDictionary<string, byte[]> devices, HotplugFrozen? frozen)
    {
        DescribeCpusPower power = (frozen?.State ?? HotplugState.Empty).DescribePower(machine.PowerOnCpus);
        return new VmState(
            [.. UnitsOf(machine, devices, frozen)],
            [.. power.Ids.Select((id, cpu) => new SavedCpu(cpu, id, machine.IsEnabled(cpu)))],
            machine.Clock, DateTimeOffset.UtcNow);
    }

    /// <summary>Why the VM can neither be saved nor moved now, as one line; null if it can. Any thread.</summary>
    public static string? BlockerOf(IVmMachine machine) => BlockersOf(machine).FirstOrDefault();

    /// <summary>All that stands in the way of a save or a move now, a line each. Any thread.</summary>
    public static IEnumerable<string> BlockersOf(IVmMachine machine) =>
        machine.Devices.SelectMany(d => d.Device.StateUnits).Select(unit => unit.MoveBlocker).OfType<string>();

    /// <summary>More bytes than the archive of such a machine's state can have, without RAM.</summary>
    public static long LargestOf(IVmMachine machine) =>
        OfActors + (machine.PossibleCpus * OfCpu)
        + machine.Devices.Sum(d => OfDevice + d.Device.Regions.Sum(r => (long)(r.Memory?.Size ?? 0)));

    /// <summary>Refuses a state before memory is taken for it.</summary>
    /// <exception cref="StateException">It cannot be this machine's: one line.</exception>
    public static void RequireFits(IVmMachine machine, long bytes)
    {
        if (bytes > LargestOf(machine))
        {
            throw new StateException($"a state of {bytes} bytes cannot be this machine's, which has at most {LargestOf(machine)}");
        }
    }

    private static IEnumerable<SavedUnit> UnitsOf(
        IVmMachine machine, IReadOnlyDictionary<string, byte[]> devices, HotplugFrozen? frozen)
    {
        foreach (IStateUnit unit in machine.StateUnits)
        {
            yield return SavedUnit.Of(unit);
        }

        foreach (string device in machine.Devices.Where(d => d.HasActor).Select(d => d.Id))
        {
            foreach (SavedUnit unit in Archive.Read(devices[device]))
            {
                yield return unit with { Id = $"{device}/{unit.Id}" };
            }
        }

        if (frozen != null)
        {
            yield return UnitOf(Hotplug, new HotplugUnit(frozen.State, frozen.LastOst));
        }
    }

    /// <summary>The same state with how long the vCPUs have run, for a receiver that goes on counting.</summary>
    public VmState With(VcpuReading times) => this with { Units = [.. Units, UnitOf(Vcpus, new VcpuTimesUnit(times))] };

    private static SavedUnit UnitOf(string owner, IStateUnit unit)
    {
        SavedUnit saved = SavedUnit.Of(unit);
        return saved with { Id = $"{owner}/{saved.Id}" };
    }
}

/// <summary>A state that was found right for a machine, sorted by who loads it.</summary>
/// <param name="Machine">The units of CPUs and what belongs to them.</param>
/// <param name="Devices">In the order in which they are loaded.</param>
/// <param name="Hotplug">Null on a machine without.</param>
/// <param name="Times">Null where none came with the state.</param>
/// <param name="Notice">What the machine takes over although it was made otherwise: a sentence; null for nothing.</param>
internal sealed record LoadableVm(
    IReadOnlyList<SavedUnit> Machine, IReadOnlyList<LoadDeviceState> Devices, HotplugUnit? Hotplug, VcpuReading? Times,
    string? Notice)
{
    // Differences that are named in one line.
    private const int MostDifferences = 8;

    /// <summary>Finds all that can be wrong with the units of a state, and touches nothing.</summary>
    /// <exception cref="StateException">It cannot be this machine's: one line.</exception>
    public static LoadableVm Of(IVmMachine machine, IReadOnlyList<SavedUnit> saved)
    {
        ILookup<string, SavedUnit> units = saved.ToLookup(OwnerOf, WithoutOwner);
        string[] owners =
        [
            "", VmState.Vcpus, .. machine.Devices.Select(d => d.Id),
            .. machine.Hotplug == null ? Array.Empty<string>() : [VmState.Hotplug],
        ];
        string[] differences =
        [
            .. units.Select(u => u.Key).Where(o => !owners.Contains(o))
                .Select(o => $"it has a device '{HotplugState.Legible(o)}' that this machine has not"),
            .. machine.Devices.Where(d => d.HasActor && !units.Contains(d.Id))
                .Select(d => $"this machine has a device '{d.Id}' that it has not"),
        ];
        if (differences.Length > 0)
        {
            throw new StateException(string.Join("; ", differences.Take(MostDifferences))
                + (differences.Length > MostDifferences ? $"; and {differences.Length - MostDifferences} more" : ""));
        }

        SavedUnit[] ofMachine = [.. units[""]];
        Archive.Check(ofMachine, machine.StateUnits);
        PowerOnCpus here = machine.PowerOnCpus;
        PowerOnCpus cpus = here.With(PowerOnUnit.Read(ofMachine, machine.PossibleCpus));
        LoadDeviceState[] devices = [.. machine.Devices.Where(d => d.HasActor).Select(d =>
        {
            // What the actor keeps beside the core, it checks itself.
            IReadOnlyList<IStateUnit> core = d.Device.StateUnits;
            Archive.Check([.. units[d.Id].Where(u => core.Any(c => c.Id == u.Id))], core);
            using var bytes = new MemoryStream();
            Archive.Write(bytes, [.. units[d.Id]]);
            return new LoadDeviceState(d.Id, bytes.ToArray());
        })];
        HotplugUnit? hotplug = machine.Hotplug == null ? null : new HotplugUnit(machine.PossibleCpus);
        if (hotplug != null)
        {
            Archive.Load([.. units[VmState.Hotplug]], [hotplug]);
            if (hotplug.State.RefusePowerOn(cpus) is { } why)
            {
                throw new StateException(why);
            }
        }

        VcpuTimesUnit? times = units.Contains(VmState.Vcpus) ? new VcpuTimesUnit(machine.PossibleCpus) : null;
        if (times != null)
        {
            Archive.Load([.. units[VmState.Vcpus]], [times]);
        }

        string? notice = cpus.Set == here.Set ? null
            : $"the VM takes over the CPUs at power-on of the saved one, {cpus.Set}, in place of {here.Set}";
        return new LoadableVm(ofMachine, devices, hotplug, times?.Reading, notice);
    }

    private static string OwnerOf(SavedUnit unit) => unit.Id.Contains('/', StringComparison.Ordinal) ? unit.Id.Split('/')[0] : "";

    private static SavedUnit WithoutOwner(SavedUnit unit) =>
        unit with { Id = unit.Id[(unit.Id.IndexOf('/', StringComparison.Ordinal) + 1)..] };
}
