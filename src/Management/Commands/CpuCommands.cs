using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Vmm.Actors.Protocol;
using Vmm.Emulation;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

/// <summary>The place of a CPU in the topology. Levels that the machine does not have are null, and left out of the JSON.</summary>
public sealed record CpuInstanceProperties(
    long? NodeId, long? DrawerId, long? BookId, long? SocketId, long? DieId, long? ClusterId, long? ModuleId, long? CoreId, long? ThreadId);

public enum S390CpuState
{
    Uninitialized,
    Stopped,
    CheckStop,
    Operating,
    Load,
}

public enum S390CpuEntitlement
{
    Auto,
    Low,
    Medium,
    High,
}

/// <summary>A branch that the schema has for QEMU's s390x machines. It is never sent.</summary>
public sealed record CpuInfoS390(S390CpuState CpuState, bool? Dedicated, S390CpuEntitlement? Entitlement);

[QapiUnion("target")]
[QapiBranch("s390x", typeof(CpuInfoS390))]
public sealed record CpuInfoFast(long CpuIndex, string QomPath, long ThreadId, CpuInstanceProperties? Props, SysEmuTarget Target);

/// <summary>
/// The administrative and operational state of a possible CPU (<c>query-cpus-power-state</c> of the later drafts of QEMU's series).
/// </summary>
public sealed record CpuPowerStateInfo(
    long Id, long SocketId, long ClusterId, long CoreId, long ThreadId, long VcpusCount, string? QomPath, CpuAdminState AdminState,
    CpuOperationalState OperState);

/// <summary>How long a possible CPU has been enabled and busy: <see cref="VcpuTimes"/>.</summary>
public sealed record CpuTimesInfo(long CpuIndex, long BusyNs, long EnabledNs, VcpuState State);

/// <param name="Meter">Changes when the times begin anew.</param>
/// <param name="RunNs">How long the VM has run.</param>
public sealed record VmTimesInfo(string Meter, long RunNs, CpuTimesInfo[] Cpus);

public sealed record HotpluggableCpu(string Type, long VcpusCount, CpuInstanceProperties Props, string? QomPath);

public sealed record CpuDefinitionInfo(
    string Name, bool? MigrationSafe, bool Static, string[]? UnavailableFeatures, string Typename, string? AliasOf, bool Deprecated);

public enum CpuModelExpansionType
{
    Static,
    Full,
}

public sealed record CpuModelInfo(string Name, JsonNode? Props);

public sealed record CpuModelExpansionArguments(CpuModelExpansionType Type, CpuModelInfo Model);

public sealed record CpuModelExpansionInfo(CpuModelInfo Model);

public enum AcpiSlotType
{
    [JsonStringEnumMemberName("DIMM")]
    Dimm,
    [JsonStringEnumMemberName("CPU")]
    Cpu,
}

/// <summary>The guest's last _OST for a slot (ACPI 6.5, section 6.3.5).</summary>
public sealed record AcpiOstInfo(string? Device, string Slot, AcpiSlotType SlotType, long Source, long Status);

/// <summary>Commands about the CPUs that are there, those that can be plugged, and CPU models.</summary>
public sealed class CpuCommands(MonitorVm vm)
{
    /// <summary>The end of the name of a QOM type of CPU; the name of the model comes before it.</summary>
    public const string Suffix = "-arm-cpu";

    /// <summary>The name of a query that QEMU does not have, with the prefix that QAPI asks for.</summary>
    public const string QueryTimesName = "__org.vmm_query-vcpu-times";

    public void Register(QapiCommandTable table)
    {
        table.AddQuery(QueryTimesName, QueryTimes);
        table.AddQuery("query-cpus-fast", QueryCpus);
        table.AddQuery("query-hotpluggable-cpus", QueryHotpluggable);
        table.AddQuery("query-cpus-power-state", QueryPowerState);
        table.AddQuery("query-acpi-ospm-status", QueryOspmStatus);
        table.AddQuery("query-cpu-definitions", () => Task.FromResult(Definitions()));
        table.AddQuery<CpuModelExpansionArguments,
        CpuModelExpansionInfo>("query-cpu-model-expansion", arguments => Task.FromResult(Expand(arguments)));
    }

    /// <summary>The QOM type of all CPUs of the machine.</summary>
    public string TypeName => vm.Config.Cpu.Name + Suffix;

    /// <summary>The CPUs that are enabled, with the host threads that run them.</summary>
    public async Task<CpuInfoFast[]> QueryCpus()
    {
        string?[] paths = await QomPaths().ConfigureAwait(false);
        int[] threads = (await vm.Ask<VcpuThreads>(new GetVcpuThreads()).ConfigureAwait(false)).Threads;
        return [.. Enumerable.Range(0, paths.Length).Where(i => threads[i] != 0 && paths[i] != null)
            .Select(i => new CpuInfoFast(i, paths[i]!, threads[i], PropertiesOf(i), SysEmuTarget.Aarch64))];
    }

    /// <summary>All CPU slots, the last one first, as QEMU lists them.</summary>
    public async Task<HotpluggableCpu[]> QueryHotpluggable()
    {
        if (!vm.Config.Acpi)
        {
            throw new QapiException("machine does not support hot-plugging CPUs");
        }

        string?[] paths = await QomPaths().ConfigureAwait(false);
        return [.. Enumerable.Range(0, paths.Length).Reverse().Select(i => new HotpluggableCpu(TypeName, 1, PropertiesOf(i), paths[i]))];
    }

    /// <summary>The QOM paths of all possible CPUs by number; null for a CPU that is not there. Disabled CPUs are there.</summary>
    public async Task<string?[]> QomPaths() =>
        [.. (await Names().ConfigureAwait(false)).Select((name, cpu) => name.Length == 0 ? null
            : name == $"cpu-{cpu}" && cpu < vm.Config.EnabledCpus + vm.Config.DisabledCpus ? PathOfColdBooted(cpu)
            : PathOf(name))];

    /// <summary>
    /// The names of all possible CPUs by number: that of a plugged one, or cpu- and the number; empty for a CPU that is not there.
    /// </summary>
    public async Task<string[]> Names() => (await vm.Ask<CpusPowerState>(new GetCpusPowerState()).ConfigureAwait(false)).Ids;

    /// <summary>The QOM path of a CPU that was plugged.</summary>
    public static string PathOf(string id) => $"/machine/peripheral/{id}";

    /// <summary>The QOM path of a CPU that is there from power-on.</summary>
    public static string PathOfColdBooted(int cpu) => $"/machine/unattached/device[{cpu}]";

    public CpuInstanceProperties PropertiesOf(int cpu)
    {
        CpuLocation at = vm.Config.Topology.Locate(new CpuIndex(cpu));
        return new CpuInstanceProperties(null, null, null, at.Socket, null, at.Cluster, null, at.Core, at.Thread);
    }

    public async Task<CpuPowerStateInfo[]> QueryPowerState()
    {
        var power = await vm.Ask<CpusPowerState>(new GetCpusPowerState()).ConfigureAwait(false);
        string?[] paths = await QomPaths().ConfigureAwait(false);
        return [.. power.Admin.Select((admin, cpu) =>
        {
            CpuLocation at = vm.Config.Topology.Locate(new CpuIndex(cpu));
            return new CpuPowerStateInfo(cpu, at.Socket, at.Cluster, at.Core, at.Thread, 1, paths[cpu], admin, power.Oper[cpu]);
        })];
    }

    public async Task<VmTimesInfo> QueryTimes()
    {
        VcpuTimes times = await vm.Ask<VcpuTimes>(new GetVcpuTimes()).ConfigureAwait(false);
        return new VmTimesInfo(times.Meter, times.RunNs,
            [.. times.States.Select((state, cpu) => new CpuTimesInfo(cpu, times.BusyNs[cpu], times.EnabledNs[cpu], state))]);
    }

    public async Task<AcpiOstInfo[]> QueryOspmStatus()
    {
        var status = await vm.Ask<AcpiOspmStatus>(new GetAcpiOspmStatus()).ConfigureAwait(false);
        return [.. status.Ids.Select((id, cpu) => OstOf(id, cpu, status.Sources[cpu], status.Statuses[cpu]))];
    }

    public static AcpiOstInfo OstOf(string id, int cpu, int source, int status) =>
        new(id.Length == 0 ? null : id, cpu.ToString(System.Globalization.CultureInfo.InvariantCulture), AcpiSlotType.Cpu, source, status);

    private static CpuDefinitionInfo[] Definitions() =>
        [.. CpuModel.All.Select(m => new CpuDefinitionInfo(m.Name, null, Static: false, null, m.Name + Suffix, null, Deprecated: false))];

    private static CpuModelExpansionInfo Expand(CpuModelExpansionArguments arguments)
    {
        if (arguments.Type != CpuModelExpansionType.Full)
        {
            throw new QapiException("The requested expansion type is not supported");
        }

        CpuModel model = CpuModel.Find(arguments.Model.Name)
            ?? throw new QapiException($"The CPU type '{arguments.Model.Name}' is not a recognized ARM CPU type");
        model = arguments.Model.Props switch
        {
            null => model,
            JsonObject given => WithProperties(model, given),
            _ => throw new QapiException("Invalid parameter type for 'model.props', expected: object"),
        };
        var props = new JsonObject(CpuProperties.Of(model).Select(p => KeyValuePair.Create(p.Name, (JsonNode?)p.Value)));
        return new CpuModelExpansionInfo(new CpuModelInfo(model.Name, props));
    }
    private static CpuModel WithProperties(CpuModel model, JsonObject given)
    {
        var chosen = new List<(string Name, bool Value)>();
        var scalable = new ScalableProperties();
        foreach ((string key, JsonNode? value) in given)
        {
            string name = $"model.props.{key}";
            if (!CpuProperties.Of(model).Any(p => p.Name == key))
            {
                throw new QapiException($"Parameter '{name}' is unexpected");
            }

            if (value is not JsonValue boolean || !boolean.TryGetValue(out bool chosenValue))
            {
                throw new QapiException($"Invalid parameter type for '{name}', expected: boolean");
            }

            if (key == "aarch64" && !chosenValue)
            {
                throw new QapiException("'aarch64' feature cannot be disabled unless KVM is enabled and 32-bit EL1 is supported");
            }

            if (ScalableProperties.Switches.Contains(key))
            {
                scalable.Set(key, chosenValue);
            }

            chosen.Add((key, chosenValue));
        }

        try
        {
            return scalable.Apply(CpuProperties.With(model, chosen));
        }
        catch (ArgumentException e)
        {
            throw new QapiException(e.Message);
        }
    }
}
