using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Management.Commands;
using Vmm.Management.Hmp;

namespace Vmm.Management.Tests;

public sealed class MonitorTests
{
    private static readonly MachineConfig s_config =
        new(CpuModel.Find("cortex-a57")!, 4, new CpuTopology(1, 1, 6, 1), 300 << 20, new BootConfig(default, null, ""));

    private readonly List<IProtocolMessage> _asked = [];
    private readonly HmpMonitor _monitor;
    private bool _quit;

    public MonitorTests()
    {
        _monitor = new HmpMonitor(new MonitorCommands(new MonitorVm(s_config, Answer, () => _quit = true)));
    }

    private Task<IProtocolMessage> Answer(IProtocolMessage message)
    {
        _asked.Add(message);
        return Task.FromResult<IProtocolMessage>(message switch
        {
            GetVcpuStates => new VcpuStates(
                [VcpuState.Running, VcpuState.Parked, VcpuState.PoweredOff, VcpuState.PoweredOff, VcpuState.PoweredOff, VcpuState.None]),
            GetBoardDevices => new BoardDevices(["arm-gicv3", "pl011", "fw_cfg_mem"], ["", "", "fw_cfg"], [], [], []),
            GetCpusPowerState => new CpusPowerState(
                ["cpu-0", "cpu-1", "cpu-2", "cpu-3", "core4", ""],
                [.. Enumerable.Repeat(CpuAdminState.Enabled, 5), CpuAdminState.Removed],
                [CpuOperationalState.On, CpuOperationalState.Standby, .. Enumerable.Repeat(CpuOperationalState.Off, 4)]),
            GetVcpuThreads => new VcpuThreads([100, 101, 102, 103, 104, 0]),
            GetJitDescription => new JitDescription("Blocks 1"),
            GetVcpuRegisters { Cpu: 0 } => new VcpuRegisters(0, " PC=1"),
            GetVcpuRegisters get => new VcpuRegisters(get.Cpu, ""),
            PlugVcpu { Cpu: 4 } plug => new HotplugRejected(plug.Id, RejectionCode.SlotInUse, "cpu(id4=0:0:4:0) with arch-id 4 exist"),
            PlugVcpu plug => new HotplugAccepted(plug.Id, plug.Cpu),
            SetVcpuAdmin { Cpu: 5 } =>
                new HotplugRejected("cpu-5", RejectionCode.DeviceNotFound, "No device found for driver 'cortex-a57-arm-cpu'"),
            SetVcpuAdmin set => new HotplugAccepted($"cpu-{set.Cpu}", set.Cpu),
            UnplugVcpu unplug => new HotplugRejected(unplug.Id, RejectionCode.DeviceNotFound, $"Device '{unplug.Id}' not found"),
            _ => new VmStatus(VmRunState.Running, ""),
        });
    }

    [Theory]
    [InlineData("device_add nosuch-arm-cpu,id=a,core-id=5", "Error: 'nosuch-arm-cpu' is not a valid device model name")]
    [InlineData("device_add virtio-gpu,id=a", "Error: 'virtio-gpu' is not a valid device model name")]
    [InlineData("device_add max-arm-cpu,id=a,core-id=5", "Error: Invalid CPU type, expected cpu type: 'cortex-a57-arm-cpu'")]
    [InlineData("device_add cortex-a57-arm-cpu,id=a,core-id=6", "Error: Invalid core-id 6 specified, correct range 0:5")]
    [InlineData("device_add cortex-a57-arm-cpu,id=a,core-id=-1", "Error: Invalid core-id -1 specified, correct range 0:5")]
    [InlineData("device_add cortex-a57-arm-cpu,id=a", "Error: core-id is not set")]
    [InlineData("device_add cortex-a57-arm-cpu,id=a,core-id=4", "Error: cpu(id4=0:0:4:0) with arch-id 4 exist")]
    [InlineData("device_add cortex-a57-arm-cpu,id=a,node=4", "Error: Property 'cortex-a57-arm-cpu.node' not found")]
    [InlineData("device_del cpu9", "Error: Device 'cpu9' not found")]
    [InlineData("device_del /machine/unattached/device[1]", "Error: Device 'cpu-1' not found")]
    [InlineData("device_del /machine", "Error: /machine is not a device")]
    [InlineData("frobnicate", "unknown command: 'frobnicate'")]
    [InlineData("info nothing", "unknown command: 'info nothing'")]
    [InlineData("info registers 9", "CPU#9 not available")]
    [InlineData("info registers", "\nCPU#0\n PC=1")]
    [InlineData("info status", "VM status: running")]
    [InlineData("info jit", "Blocks 1")]
    [InlineData("info cpus", "* CPU #0: thread_id=100 (Running)\n  CPU #1: thread_id=101 (Parked)\n  CPU #2: thread_id=102 (PoweredOff)\n "
        + " CPU #3: thread_id=103 (PoweredOff)\n  CPU #4: thread_id=104 (PoweredOff)")]
    [InlineData("", "")]
    public async Task Command_answers_in_QEMUs_words(string line, string answer) => Assert.Equal(answer, await _monitor.Execute(line));

    [Theory]
    [InlineData("device_set cortex-a57-arm-cpu,core-id=3,admin-state=enabled", 3, true)]
    [InlineData("device_set host-arm-cpu,id=core4,core-id=4,admin-state=disable", 4, false)]
    [InlineData("device_set host-arm-cpu,id=core4,admin-state=disabled", 4, false)]
    [InlineData("device_set host-arm-cpu,id=cpu-2,admin-state=enable", 2, true)]
    public async Task DeviceSet_finds_the_CPU_by_its_place_or_its_name(string line, int cpu, bool enabled)
    {
        Assert.Equal("", await _monitor.Execute(line));
        Assert.Contains(new SetVcpuAdmin(cpu, enabled), _asked);
    }

    [Theory]
    [InlineData("device_set host-arm-cpu,core-id=3", "Error: no device state change specified for device host-arm-cpu")]
    [InlineData("device_set host-arm-cpu,core-id=3,admin-state=removed",
        "Error: unrecognized specified state *removed* for device host-arm-cpu")]
    [InlineData("device_set host-arm-cpu,core-id=5,admin-state=enabled", "Error: No device found for driver 'cortex-a57-arm-cpu'")]
    [InlineData("device_set host-arm-cpu,id=nosuch,admin-state=enabled", "Error: No device found for driver 'host-arm-cpu'")]
    [InlineData("device_set host-arm-cpu,core-id=6,admin-state=enabled", "Error: Invalid core-id 6 specified, correct range 0:5")]
    [InlineData("device_set nosuch,core-id=3,admin-state=enabled", "Error: 'nosuch' is not a valid device model name")]
    [InlineData("device_add --wait cortex-a57-arm-cpu,core-id=5", "Error: how it ends cannot be waited for here")]
    public async Task DeviceSet_wrong_says_what(string line, string answer) => Assert.Equal(answer, await _monitor.Execute(line));

    [Theory]
    [InlineData(HotplugOutcomeKind.Done, "disabling of cpu-2 (CPU 2): done")]
    [InlineData(HotplugOutcomeKind.Refused, "Error: disabling of cpu-2 (CPU 2): refused by the guest, _OST status 0x82")]
    [InlineData(HotplugOutcomeKind.TimedOut, "Error: disabling of cpu-2 (CPU 2): no answer from the guest yet; still pending")]
    [InlineData(HotplugOutcomeKind.Cancelled, "Error: disabling of cpu-2 (CPU 2): cancelled: a reset came first")]
    public async Task Wait_says_how_it_ended(HotplugOutcomeKind kind, string answer)
    {
        Task<IProtocolMessage> Outcome(IProtocolMessage request)
        {
            Assert.Equal(new SetVcpuAdmin(2, false), request);
            return Task.FromResult<IProtocolMessage>(new HotplugOutcome("cpu-2", 2, HotplugOperation.Disable, kind, 0x82));
        }

        var monitor = new HmpMonitor(new MonitorCommands(new MonitorVm(s_config, Answer, () => { }) { Outcomes = Outcome }));
        Assert.Equal(answer, await monitor.Execute("device_set --wait cortex-a57-arm-cpu,core-id=2,admin-state=disabled"));
    }

    [Theory]
    [InlineData("cortex-a57-arm-cpu,id=core5,core-id=5")]
    [InlineData("host-arm-cpu,id=core5,core-id=5")]
    [InlineData("host-arm-cpu,id=core5,core-id=0x5")]
    [InlineData("cortex-a57-arm-cpu,core-id=5,id=core5,socket-id=0,cluster-id=0,thread-id=0")]
    public async Task DeviceAdd_of_a_free_slot_plugs_it(string device)
    {
        Assert.Equal("", await _monitor.Execute($"device_add {device}"));
        Assert.Equal([new PlugVcpu("core5", 5)], _asked);
    }

    [Fact]
    public async Task InfoCpusPowerstate_shows_each_possible_CPU()
    {
        string text = await _monitor.Execute("info cpus-powerstate");
        Assert.StartsWith(
            "CPUs Power State Info:\n  CPU ID: 0\n    socket-id: 0\n    cluster-id: 0\n    core-id: 0\n    thread-id: 0\n    vcpus-count: "
                + "1\n    qom-path: \"/machine/",
            text,
            StringComparison.Ordinal);
        Assert.EndsWith("core-id: 5\n    thread-id: 0\n    vcpus-count: 1\n    admin-state: \"removed\"\n    oper-state: \"off\"", text,
            StringComparison.Ordinal);
        Assert.Contains("core-id: 1\n    thread-id: 0\n    vcpus-count: 1\n    qom-path: \"/machine/unattached/device[1]\"\n    "
            + "admin-state: \"enabled\"\n    oper-state: \"standby\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task InfoHotpluggable_lists_slots_with_their_owner()
    {
        string text = await _monitor.Execute("info hotpluggable-cpus");
        Assert.Equal(6, text.Split("vcpus_count").Length - 1);
        Assert.Contains("qom_path: \"/machine/peripheral/core4\"", text, StringComparison.Ordinal);
        Assert.Equal(5, text.Split("qom_path").Length - 1);
    }

    [Fact]
    public async Task InfoQomTree_has_the_devices_of_the_VM_behind_the_cold_booted_CPUs()
    {
        var config = s_config with { EnabledCpus = 3, DisabledCpus = 1 };
        var monitor = new HmpMonitor(new MonitorCommands(new MonitorVm(config, Answer, () => { })));
        Assert.Equal(
            """
            /machine (virt-machine)
              /fw_cfg (fw_cfg_mem)
              /peripheral (container)
                /core4 (cortex-a57-arm-cpu)
              /peripheral-anon (container)
              /unattached (container)
                /device[0] (cortex-a57-arm-cpu)
                /device[1] (cortex-a57-arm-cpu)
                /device[2] (cortex-a57-arm-cpu)
                /device[3] (cortex-a57-arm-cpu)
                /device[4] (arm-gicv3)
                /device[5] (pl011)
            """,
            await monitor.Execute("info qom-tree"));
    }

    [Fact]
    public async Task InfoJit_of_a_machine_that_interprets_is_an_error()
    {
        var monitor = new HmpMonitor(
            new MonitorCommands(new MonitorVm(s_config, _ => Task.FromResult<IProtocolMessage>(new JitDescription("")), () => { })));
        Assert.Equal("Error: JIT information is only available with accel=jit", await monitor.Execute("info jit"));
    }

    [Fact]
    public async Task Quit_ends_the_program()
    {
        await _monitor.Execute("quit");
        Assert.True(_quit);
    }

    [Theory]
    [InlineData("info cpus")]
    [InlineData("info hotpluggable-cpus")]
    [InlineData("info registers")]
    [InlineData("info status")]
    [InlineData("info jit")]
    public async Task Query_that_the_VM_cannot_answer_is_an_error_in_one_line(string line)
    {
        var rejecting = new HmpMonitor(new MonitorCommands(new MonitorVm(s_config, _ =>
            Task.FromResult<IProtocolMessage>(new VmCommandRejected(RejectionCode.WrongRunState, "the reason")), () => { })));
        Assert.Equal("Error: the reason", await rejecting.Execute(line));
        var silent = new HmpMonitor(new MonitorCommands(new MonitorVm(s_config, _ => throw new TimeoutException("late"), () => { })));
        Assert.Equal("Error: the VM does not answer", await silent.Execute(line));
    }
}
