using System.Globalization;
using System.Text;
using Vmm.Actors.Protocol;
using Vmm.Management.Commands;
using Vmm.Management.Qapi;

namespace Vmm.Management.Hmp;

/// <summary>The commands behind info.</summary>
internal static class HmpInfoCommands
{
    public static HmpCommandTable Create(MonitorCommands commands)
    {
        MonitorVm vm = commands.Vm;
        var table = new HmpCommandTable();
        table.Add("version", "show the version", _ => Task.FromResult(Version));
        table.Add("status", "show the current VM status (running|paused)", _ => Status(commands.RunState));
        table.Add("name", "show the current VM name", _ => Task.FromResult(vm.Config.Name));
        table.Add("uuid", "show the current VM UUID", _ => Task.FromResult(vm.Config.Uuid.ToString()));
        table.Add("vm-generation-id", "Show Virtual Machine Generation ID", _ => commands.Machine.GenerationId());
        table.Add("kvm", "show KVM information", _ => Task.FromResult("kvm support: not compiled"));
        table.Add("cpus", "show infos for each CPU", context => Cpus(commands, context.Cpu));
        table.Add("cpus-powerstate", "show where each possible CPU stands for the administrator and for the guest", _ =>
            PowerState(commands.Cpus));
        table.Add("hotpluggable-cpus", "show information about hotpluggable CPUs", _ => Hotpluggable(commands.Cpus));
        table.Add(
            "registers",
            "[-a|vcpu]",
            "show the cpu registers (-a: of all cpus; vcpu: of that CPU; otherwise of the default CPU)",
            [new("-a", HmpParameterKind.Flag), new("vcpu", HmpParameterKind.Expression, Optional: true)],
            (arguments, context) => Registers(commands, arguments.Has("-a") ? null : arguments.NumberOrNull("vcpu") ?? context.Cpu));
        table.Add("jit", "show what was translated, and what was left to the interpreter", _ => Jit(vm));
        table.Add("mtree", "[-f]", "show memory tree (-f: dump flat view for address spaces)", [new("-f", HmpParameterKind.Flag)],
            (arguments, _) => Report(vm, arguments.Has("-f") ? ReportSubject.FlatView : ReportSubject.MemoryTree, 0));
        table.Add("irq", "show interrupts that are enabled, pending or active", _ => Report(vm, ReportSubject.Interrupts, 0));
        table.Add("pic", "show PIC state: the GIC's CPU interfaces", _ => Report(vm, ReportSubject.CpuInterfaces, 0));
        table.Add("virtio", "show virtio devices, what was done in their queues, and how much of it on the threads of vCPUs",
            _ => Report(vm, ReportSubject.Virtio, 0));
        table.Add("tlb", "show virtual to physical memory mappings that the default CPU has cached", context =>
            Report(vm, ReportSubject.Tlb, context.Cpu));
        table.Add("roms", "show roms: what is loaded into RAM at power-on", _ => Report(vm, ReportSubject.Roms, 0));
        table.Add("acpi", "show what the guest answered to the last event of each CPU (_OST)", _ => Ospm(commands.Cpus));
        table.Add(
            "block", "[-n] [-v] [device]",
            "show info of one block device or all block devices (-n: show named nodes; -v: show details)",
            [
                new("-n", HmpParameterKind.Flag), new("-v", HmpParameterKind.Flag),
                new("device", HmpParameterKind.Text, Optional: true),
            ],
            (arguments, _) => commands.Blocks.Describe(arguments.TextOrNull("device"), arguments.Has("-n"), arguments.Has("-v")));
        table.Add("pci", "show PCI info", _ => commands.Pci.Describe());
        table.Add("blockstats", "show block device statistics", _ => commands.Blocks.DescribeFigures());
        table.Add("balloon", "show balloon information", async _ =>
            $"balloon: actual={(await commands.Balloon.Query().ConfigureAwait(false)).Actual >> 20}");
        table.Add("network", "show the network state", _ => commands.Net.Describe());
        table.Add("usernet", "show user network stack connection states", _ => commands.Net.DescribeConnections());
        table.Add("chardev", "show the character devices", _ =>
            Task.FromResult(string.Join('\n', commands.CharacterDevices.Query().Select(d => $"{d.Label}: filename={d.Filename}"))));
        table.Add("memory_size_summary", "show the amount of initially allocated and present hotpluggable (if enabled) memory in bytes.",
            _ =>
            Task.FromResult($"base memory: {commands.Machine.MemorySummary.BaseMemory}\nplugged memory: "
                + $"{commands.Machine.MemorySummary.PluggedMemory}"));
        table.Add("qom-tree", "[path]", "show QOM composition tree", [new("path", HmpParameterKind.Text, Optional: true)],
            (arguments, _) => commands.Qom.Describe(arguments.TextOrNull("path") ?? "/machine"));
        table.Add("qtree", "show device tree", _ => Report(vm, ReportSubject.DeviceTree, 0));
        table.Add("snapshots", "show the currently saved VM snapshots", _ => commands.Snapshots.Describe());
        HmpMigrationCommands.RegisterInfo(table, commands.Migration);
        table.Add("history", "show the command line history", context =>
            Task.FromResult(string.Join('\n', context.History.Select((line, i) => $"{i}: '{line}'"))));
        return table;
    }

    /// <summary>The version in QEMU's layout: QEMU's version, and the package behind it.</summary>
    public static string Version =>
        $"{MachineCommands.Qemu.Major}.{MachineCommands.Qemu.Minor}.{MachineCommands.Qemu.Micro} ({MachineCommands.Package})";

    private static async Task<string> Status(RunStateCommands runState)
    {
        VmStatus status = await runState.GetStatus().ConfigureAwait(false);
        string name = RunStateNames.Of(status.RunState);
        string state = status.RunState is VmRunState.Running or VmRunState.Paused ? name : $"paused ({name})";
        return $"VM status: {state}{(status.Detail.Length == 0 ? "" : $"\n{status.Detail}")}";
    }

    private static async Task<string> Cpus(MonitorCommands commands, int current)
    {
        CpuInfoFast[] cpus = await commands.Cpus.QueryCpus().ConfigureAwait(false);
        VcpuState[] states = (await commands.Vm.Ask<VcpuStates>(new GetVcpuStates()).ConfigureAwait(false)).States;
        return string.Join('\n',
            cpus.Select(c => $"{(c.CpuIndex == current ? '*' : ' ')} CPU #{c.CpuIndex}: thread_id={c.ThreadId} ({states[c.CpuIndex]})"));
    }

    // The text has the layout of QEMU's series (RFC V6).
    private static async Task<string> PowerState(CpuCommands cpus)
    {
        var text = new StringBuilder("CPUs Power State Info:");
        foreach (CpuPowerStateInfo cpu in await cpus.QueryPowerState().ConfigureAwait(false))
        {
            text.Append(CultureInfo.InvariantCulture,
                $"\n  CPU ID: {cpu.Id}\n    socket-id: {cpu.SocketId}\n    cluster-id: {cpu.ClusterId}\n    core-id: {cpu.CoreId}");
            text.Append(CultureInfo.InvariantCulture, $"\n    thread-id: {cpu.ThreadId}\n    vcpus-count: {cpu.VcpusCount}");
            text.Append(cpu.QomPath == null ? "" : $"\n    qom-path: \"{cpu.QomPath}\"");
            text.Append(CultureInfo.InvariantCulture,
                $"\n    admin-state: \"{Name(cpu.AdminState)}\"\n    oper-state: \"{Name(cpu.OperState)}\"");
        }

        return text.ToString();
    }

    private static string Name<T>(T value)
        where T : struct, Enum => value.ToString().ToLowerInvariant();

    private static async Task<string> Hotpluggable(CpuCommands cpus)
    {
        var text = new StringBuilder("Hotpluggable CPUs:");
        foreach (HotpluggableCpu cpu in await cpus.QueryHotpluggable().ConfigureAwait(false))
        {
            CpuInstanceProperties at = cpu.Props;
            text.Append(CultureInfo.InvariantCulture, $"\n  type: \"{cpu.Type}\"\n  vcpus_count: \"{cpu.VcpusCount}\"");
            text.Append(cpu.QomPath == null ? "" : $"\n  qom_path: \"{cpu.QomPath}\"");
            text.Append(CultureInfo.InvariantCulture, $"\n  CPUInstance Properties:\n    socket-id: \"{at.SocketId}\"");
            text.Append(CultureInfo.InvariantCulture,
                $"\n    cluster-id: \"{at.ClusterId}\"\n    core-id: \"{at.CoreId}\"\n    thread-id: \"{at.ThreadId}\"");
        }

        return text.ToString();
    }

    // The registers of one CPU; those of all enabled CPUs if `cpu` is null.
    private static async Task<string> Registers(MonitorCommands commands, long? cpu)
    {
        if (cpu is { } one)
        {
            return await RegistersOf(commands.Vm, one).ConfigureAwait(false) ?? throw new HmpException($"CPU#{one} not available");
        }

        var text = new List<string>();
        for (int index = 0; index < commands.Vm.Config.PossibleCpus; index++)
        {
            if (await RegistersOf(commands.Vm, index).ConfigureAwait(false) is { } registers)
            {
                text.Add(registers);
            }
        }

        return string.Join('\n', text);
    }

    // Returns null if the CPU does not exist or is not enabled.
    private static async Task<string?> RegistersOf(MonitorVm vm, long cpu)
    {
        if (cpu < 0 || cpu >= vm.Config.PossibleCpus)
        {
            return null;
        }

        string registers = (await vm.Ask<VcpuRegisters>(new GetVcpuRegisters((int)cpu)).ConfigureAwait(false)).Text;
        return registers.Length == 0 ? null : $"\nCPU#{cpu}\n{registers}";
    }

    private static async Task<string> Jit(MonitorVm vm)
    {
        string text = (await vm.Ask<JitDescription>(new GetJitDescription()).ConfigureAwait(false)).Text;
        return text.Length > 0 ? text : throw new QapiException("JIT information is only available with accel=jit");
    }

    private static async Task<string> Report(MonitorVm vm, ReportSubject subject, int cpu) =>
        (await vm.Ask<MachineReport>(new GetMachineReport(subject, cpu)).ConfigureAwait(false)).Text;

    private static async Task<string> Ospm(CpuCommands cpus) =>
        string.Join('\n', (await cpus.QueryOspmStatus().ConfigureAwait(false)).Select(
        o => string.Create(CultureInfo.InvariantCulture,
            $"slot {o.Slot}: source 0x{o.Source:x}, status 0x{o.Status:x}{(o.Device == null ? "" : $", device {o.Device}")}")));
}
