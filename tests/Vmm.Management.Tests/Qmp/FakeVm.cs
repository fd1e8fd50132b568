using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Management.CharacterDevices;
using Vmm.Management.Commands;
using Vmm.Management.Hmp;
using Vmm.Management.Qapi;
using Vmm.Management.Qmp;

namespace Vmm.Management.Tests.Qmp;

/// <summary>
/// A VM without a guest, as QEMU was started for the transcript: four CPUs of six, one of them plugged, 300 MiB; and a QMP server for it at
/// a socket.
/// </summary>
internal sealed class FakeVm : IAsyncDisposable
{
    // The words that stand at the start of RAM.
    private static readonly byte[] s_memory = [.. new uint[] { 0xedfe0dd0, 0x1000, 0x40000000, 0xa01d0000, 0x30000000, 0x11000000,
        0x10000000, 0, 0xf7010000 }.SelectMany(BitConverter.GetBytes)];

    private readonly CancellationTokenSource _stop = new();
    private readonly Task _serving;
    private VmRunState _state = VmRunState.Prelaunch;

    public FakeVm()
    {
        Path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"vmm-qmp-{Guid.NewGuid():N}");
        Device = new SocketDevice("compat_monitor0", new SocketTarget(Path, "", 0, Server: true, Wait: false));
        var config = new MachineConfig(CpuModel.Find("cortex-a57")!, 4, new CpuTopology(1, 1, 6, 1), 300 << 20,
            new BootConfig(default, null, "")) { Name = "guest" };
        Commands = new MonitorCommands(new MonitorVm(config, Answer, () =>
            Server!.Publish(new VmShutdown(Guest: false, ShutdownCause.HostQuit))), () => [Device, new NullDevice("serial0")]);
        Qmp = QmpCommands.Create(Commands, (line, cpu) => HmpMonitor.ExecuteAlone(Commands, line, cpu));
        Server = new QmpServer(Qmp);
        _serving = Server.RunAsync(Device, pretty: false, _stop.Token);
    }

    public string Path { get; }

    public SocketDevice Device { get; }

    public MonitorCommands Commands { get; }

    /// <summary>The commands of the server.</summary>
    public QapiCommandTable Qmp { get; }

    public QmpServer Server { get; }

    public FakeMigration Migration { get; } = new();

    /// <summary>Completed: commands that ask the VM go on; how migrations stand is answered at once, as by the VM's supervisor.</summary>
    public Task Gate { get; set; } = Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _serving.WaitAsync(Patience.Limit);
        await Device.DisposeAsync();
        _stop.Dispose();
    }

    private async Task<IProtocolMessage> Answer(IProtocolMessage message)
    {
        if (message is not GetMigration)
        {
            await Gate;
        }

        return message switch
        {
            GetVcpuStates => new VcpuStates(
                [VcpuState.Running, VcpuState.Running, VcpuState.PoweredOff, VcpuState.PoweredOff, VcpuState.None, VcpuState.None]),
            GetBoardDevices => new BoardDevices(["arm-gicv3", "pl011", "fw_cfg_mem"], ["", "", "fw_cfg"], [], [], []),
            GetCpusPowerState => new CpusPowerState(
                ["cpu-0", "cpu-1", "cpu-2", "cpu-3", "", ""],
                [.. Enumerable.Repeat(CpuAdminState.Enabled, 4), CpuAdminState.Removed, CpuAdminState.Removed],
                [CpuOperationalState.On, CpuOperationalState.Standby, .. Enumerable.Repeat(CpuOperationalState.Off, 4)]),
            RemoveNetdev remove => new VmCommandRejected(RejectionCode.DeviceNotFound, $"Device '{remove.Id}' not found"),
            GetPciDevices => Pci(),
            IBalloonCommand => new VmCommandRejected(RejectionCode.DeviceNotActive, "No balloon device has been activated"),
            GetBlockDevices or GetUnusedImages => new BlockDevices(
                [], [], [], [], [], [], [], [], [], [], [], [], [], [], [], [], [], [], []),
            GetBlockNodes or GetUnusedNodes => new BlockNodes([], [], [], [], [], [], [], [], [], [], [], [], [], [], [], [], []),
            RemoveBlockImage { IsNode: true } remove => new VmCommandRejected(
                RejectionCode.InvalidArgument, $"Failed to find node with node-name='{remove.Name}'"),
            RemoveBlockImage remove => new VmCommandRejected(RejectionCode.InvalidArgument, $"Device '{remove.Name}' not found"),
            GetMachineReport { Subject: ReportSubject.GenerationId } => new MachineReport(""),
            GetVcpuThreads => new VcpuThreads([100, 101, 102, 103, 0, 0]),
            GetAcpiOspmStatus => new AcpiOspmStatus(["", "", "", "", "core4", ""], [0, 0, 0, 0, 1, 0], new int[6]),
            GetVcpuRegisters { Cpu: < 4 } get => new VcpuRegisters(get.Cpu, " PC=0000000040000000 X00=0000000000000007"),
            GetVcpuRegisters get => new VcpuRegisters(get.Cpu, ""),
            ReadGuestMemory read => new GuestMemoryRead(Memory(read)),
            PlugVcpu plug => new HotplugAccepted(plug.Id, plug.Cpu),
            UnplugVcpu unplug => new HotplugRejected(unplug.Id, RejectionCode.DeviceNotFound, $"Device '{unplug.Id}' not found"),
            SaveSnapshot { Tag: "there" } => new VmCommandRejected(RejectionCode.DuplicateId, "Snapshot 'there' already exists"),
            SaveSnapshot { Parent: "" or "there" } save => new SnapshotSaved(save.Tag),
            SaveSnapshot save => new VmCommandRejected(RejectionCode.SnapshotNotFound, $"Snapshot '{save.Parent}' does not exist"),
            LoadSnapshot { Tag: "there" } => new SnapshotLoaded("there"),
            LoadSnapshot load => new VmCommandRejected(RejectionCode.SnapshotNotFound, $"Snapshot '{load.Tag}' does not exist"),
            DeleteSnapshot delete => new SnapshotDeleted(delete.Tag),
            GetMoveBlockers => new MoveBlockers([]),
            GetSnapshots => new SnapshotList(
                ["", ""], ["", ""], ["there", "vm-20261128150411"], [532 << 10, 88_500_000], [0, 60], [0, 3_723_004]),
            StopVm => Change(VmRunState.Paused),
            ContinueVm => Change(VmRunState.Running),
            ResetVm => Reset(),
            PressPowerButton => Press(),
            _ when Migration.Answer(message, Server.Publish) is { } answer => answer,
            _ => new VmStatus(_state, ""),
        };
    }

    // A host bridge, a root port and what is behind it.
    private static PciDevices Pci()
    {
        byte[] headers = new byte[3 * PciDevices.ConfigurationSize];
        void Put(int function, int at, params byte[] bytes) => bytes.CopyTo(headers, (function * PciDevices.ConfigurationSize) + at);
        Put(0, 0, 0x36, 0x1B, 8, 0);
        Put(0, 0x0A, 0, 6);
        Put(0, 0x2C, 0xF4, 0x1A, 0, 0x11);
        Put(1, 0, 0x36, 0x1B, 0x0C, 0);
        Put(1, 0x0A, 4, 6);
        Put(1, 0x18, 0, 1, 1, 0, 0x11, 0x21);
        Put(1, 0x20, 0, 0x10, 0x10, 0x10, 1, 0, 1, 0);
        Put(1, 0x28, 0x80, 0, 0, 0, 0x81);
        Put(1, 0x3C, 35, 1);
        Put(2, 0, 0xF4, 0x1A, 0x44, 0x10);
        Put(2, 0x0A, 0xFF, 0);
        Put(2, 0x2C, 0xF4, 0x1A, 0, 0x11);
        return new PciDevices(
            [0, 0, 1], [0, 8, 0], [-1, -1, 1], ["", "/machine/peripheral/rp1", "/machine/peripheral-anon/device[0]"], headers,
            [1, 0, 0, 0x1010_0000, 4096, 2, 4, 6, 0x80_0000_0000, 16384]);
    }

    private static byte[] Memory(ReadGuestMemory read) => read.Address is >= 0x4000_0000 and < 0x5000_0000
        ? [.. s_memory.Concat(new byte[Math.Max(read.Length, s_memory.Length)]).Skip((int)(read.Address - 0x4000_0000)).Take(read.Length)]
        : [];

    private VmStatus Change(VmRunState state)
    {
        _state = state;
        var status = new VmStatus(state, "");
        Server.Publish(status);
        return status;
    }

    private VmStatus Reset()
    {
        Server.Publish(new VmReset(Guest: false, ShutdownCause.HostReset));
        return Change(_state);
    }

    private VmStatus Press()
    {
        Server.Publish(new PowerButtonPressed());
        return new VmStatus(_state, "");
    }
}
