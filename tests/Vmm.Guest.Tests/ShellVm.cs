using Vmm.Actors.Protocol;
using Vmm.Actors.Vm;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Cpu;
using Vmm.Host;
using Vmm.Host.Guest;
using Vmm.Host.Migration;
using Vmm.Host.Options;
using Vmm.Management.CharacterDevices;
using Vmm.Management.Commands;
using Vmm.Management.Hmp;
using Vmm.Management.Qmp;

namespace Vmm.Guest.Tests;

/// <summary>A VM with all its actors, a Debian kernel and a shell, and a monitor beside it.</summary>
internal sealed class ShellVm : IAsyncDisposable
{
    private readonly VmSession _session;
    private readonly HmpMonitor _monitor;
    private readonly CancellationTokenSource _stop = new();
    private SocketDevice? _qmp;
    private TaskCompletionSource<HotplugOutcome> _outcome = new();

    private ShellVm(MachineConfig config, StateFolder? state = null, bool isLoaded = false, IDeviceMaker? devices = null)
    {
        VmSession? session = null;
        Shell = new GuestShell(bytes => session!.SendSerial(bytes)) { Patience = Patience.Limit };
        _session = session = new VmSession(
            config, Shell.Receive, Hear, state: state, migration: new MigrationTransport(new ObjectTable()), isLoaded: isLoaded,
            devices: devices);
        _ = TellOfTheEndAsync();
        _monitor = new HmpMonitor(new MonitorCommands(new MonitorVm(() => session.Machine.Config, session.Ask, () => { })));
    }

    public GuestShell Shell { get; }

    public VirtMachine Machine => _session.Machine;

    /// <summary>Hears what the VM publishes.</summary>
    public event Action<IProtocolMessage>? Published
    {
        add => _session.Published += value;
        remove => _session.Published -= value;
    }

    /// <summary>Boots a machine with CPUs that the administrator has disabled to the prompt.</summary>
    public static async Task<ShellVm> BootStandbyAsync(int enabled, int disabled, int possible)
    {
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        var boot = new BootConfig(await File.ReadAllBytesAsync(files.Kernel), await File.ReadAllBytesAsync(files.Initramfs),
            TestGuest.Patient);
        var vm = new ShellVm(new MachineConfig(CpuModel.Find("max")!, enabled, new CpuTopology(1, 1, possible, 1), 300 << 20, boot)
        {
            DisabledCpus = disabled,
            ColdPluggedCpusOnlineCapable = true,
        });
        await vm._session.Ask(new StartVm());
        await vm.AwaitShellAsync();
        return vm;
    }

    /// <summary>Boots to the prompt.</summary>
    public static async Task<ShellVm> BootAsync(
        string cpu, int enabled, int possible, string append = "", GuestFlavour flavour = GuestFlavour.Cloud, bool acpi = true,
        ulong mebibytes = 300,
        Accelerator? accelerator = null, long translationBytes = Accelerators.DefaultTranslationBytes, FirmwareConfig? firmware = null,
        byte[]? moreInitramfs = null)
    {
        ShellVm vm = await StartAsync(cpu, enabled, possible, append, flavour, acpi, mebibytes, accelerator, translationBytes, firmware,
            moreInitramfs);
        await vm.AwaitShellAsync();
        return vm;
    }

    /// <summary>Powers the VM on and waits for nothing.</summary>
    public static async Task<ShellVm> StartAsync(
        string cpu, int enabled, int possible, string append = "", GuestFlavour flavour = GuestFlavour.Cloud, bool acpi = true,
        ulong mebibytes = 300,
        Accelerator? accelerator = null, long translationBytes = Accelerators.DefaultTranslationBytes, FirmwareConfig? firmware = null,
        byte[]? moreInitramfs = null)
    {
        // Linux unpacks archives that follow each other over each other.
        GuestFiles files = TestGuest.Files(flavour);
        byte[] initramfs = [.. await File.ReadAllBytesAsync(files.Initramfs), .. moreInitramfs ?? []];
        var boot = new BootConfig(await File.ReadAllBytesAsync(files.Kernel), initramfs, $"{TestGuest.Patient} {append}");
        return await StartAsync(new MachineConfig(CpuModel.Find(cpu)!, enabled, new CpuTopology(1, 1, possible, 1), mebibytes << 20, boot)
        {
            Firmware = firmware,
            Acpi = acpi,
            Accelerator = accelerator ?? Accelerators.Default,
            TranslationBytes = translationBytes,
        });
    }

    /// <summary>Goes on from a snapshot with a shell at its prompt.</summary>
    /// <param name="look">Looks at the VM before it runs.</param>
    public static async Task<ShellVm> LoadAsync(MachineConfig config, StateFolder state, string tag, Action<ShellVm>? look = null)
    {
        var vm = new ShellVm(config, state, isLoaded: true);
        Assert.Equal(new SnapshotLoaded(tag), await vm._session.Ask(new LoadSnapshot(tag)));
        look?.Invoke(vm);
        await vm._session.Ask(new ContinueVm());
        return vm;
    }

    /// <summary>Moves the guest, whose shell is at its prompt, to a new VM over a link of this host.</summary>
    /// <param name="config">Of the new VM.</param>
    /// <param name="hear">Hears what the new VM publishes.</param>
    public async Task<ShellVm> MoveAsync(MachineConfig config, Action<IProtocolMessage>? hear = null)
    {
        var target = new ShellVm(config, isLoaded: true);
        Task left = EndOfMigrationAsync(_session);
        Task arrived = EndOfMigrationAsync(target._session);
        target.Published += hear;
        Assert.Equal(new VmStatus(VmRunState.InMigrate, ""), await target._session.Ask(new PrepareIncoming()));
        var listening = Assert.IsType<MigrationStarted>(await target._session.Ask(new ReceiveMigration("tcp:127.0.0.1:0")));
        Assert.IsType<MigrationStarted>(await _session.Ask(new StartMigration(listening.Address, Resume: false)));
        await Task.WhenAll(left, arrived).WaitAsync(Patience.Limit);
        Assert.Equal(VmRunState.PostMigrate, ((VmStatus)await _session.Ask(new GetVmStatus())).RunState);
        return target;
    }

    private static async Task EndOfMigrationAsync(VmSession session)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        session.Published += message =>
        {
            if (message is MigrationChanged { Status: MigrationStatus.Completed or MigrationStatus.Failed })
            {
                ended.TrySetResult();
            }
        };
        await ended.Task;
        var info = (MigrationInfo)await session.Ask(new GetMigration());
        Assert.True(info.Status == MigrationStatus.Completed, info.Problem);
    }

    /// <summary>Powers a VM on and waits for nothing.</summary>
    public static async Task<ShellVm> StartAsync(MachineConfig config, StateFolder? state = null, IDeviceMaker? devices = null)
    {
        var vm = new ShellVm(config, state, devices: devices);
        await vm._session.Ask(new StartVm());
        return vm;
    }

    /// <summary>Waits for the first prompt after a boot, and keeps the kernel's notes out of what the shell prints.</summary>
    public async Task AwaitShellAsync()
    {
        await Shell.UntilAsync(Initramfs.Banner);
        await Shell.PromptAsync();
        await Shell.RunAsync("dmesg -n 1");
        await Shell.RunAsync("stty cols 250");
    }

    /// <summary>Executes a monitor command; returns its answer.</summary>
    public Task<string> MonitorAsync(string line) => _monitor.Execute(line);

    /// <summary>Executes device_add or device_del and waits for how it ends.</summary>
    public async Task<string> HotplugAsync(string line)
    {
        var outcome = new TaskCompletionSource<HotplugOutcome>(TaskCreationOptions.RunContinuationsAsynchronously);
        Volatile.Write(ref _outcome, outcome);
        string answer = await MonitorAsync(line);
        return answer.Length > 0 ? answer : (await outcome.Task.WaitAsync(Patience.Limit)).Kind.ToString().ToLowerInvariant();
    }

    /// <summary>Plugs a CPU of <c>max</c>, unplugs it, and plugs it once more. Does something each time that Linux has it.</summary>
    public async Task PlugTwiceAsync(int cpu, Func<Task> use)
    {
        for (int round = 0; round < 2; round++)
        {
            if (round > 0)
            {
                Assert.Equal("done", await HotplugAsync($"device_del c{cpu}"));
            }

            Assert.Equal("done", await HotplugAsync($"device_add max-arm-cpu,id=c{cpu},core-id={cpu}"));
            await Shell.RunAsync($"until echo 1 > /sys/devices/system/cpu/cpu{cpu}/online; do sleep 0.1; done");
            await use();
        }
    }

    /// <summary>Starts a program in the guest that waits for a file behind a line of its output; returns when that line is there.</summary>
    /// <returns>Has the program go on, in the VM where the guest is then; its whole output.</returns>
    public async Task<Func<ShellVm, Task<string>>> BeginAsync(string program, string line)
    {
        string name = $"/tmp/{Guid.NewGuid():N}";
        await Shell.RunAsync($"{program} {name}.go > {name}.out 2>&1 & until grep -q '{line}' {name}.out; do sleep 0.1; done");
        return async vm =>
        {
            await vm.Shell.RunAsync($"echo > {name}.go; wait");
            return await vm.Shell.RunAsync($"cat {name}.out");
        };
    }

    /// <summary>Enables or disables a CPU and waits for how it ends: the kind of outcome, or why it was rejected.</summary>
    public async Task<string> SetAdminAsync(int cpu, bool enabled)
    {
        var outcome = new TaskCompletionSource<HotplugOutcome>(TaskCreationOptions.RunContinuationsAsynchronously);
        Volatile.Write(ref _outcome, outcome);
        return await _session.Ask(new SetVcpuAdmin(cpu, enabled)) is HotplugRejected rejected
            ? rejected.Reason
            : (await outcome.Task.WaitAsync(Patience.Limit)).Kind.ToString().ToLowerInvariant();
    }

    /// <summary>Admin and operational state of each CPU, such as <c>enabled/on</c>; a CPU that runs may be in standby.</summary>
    public async Task<string> PowerStateAsync()
    {
        var state = (CpusPowerState)await _session.Ask(new GetCpusPowerState());
        return string.Join(' ', state.Admin.Zip(state.Oper, (admin, oper) =>
            $"{admin}/{(oper == CpuOperationalState.Standby ? CpuOperationalState.On : oper)}"));
    }

    /// <summary>How long the vCPUs have run.</summary>
    public async Task<VcpuTimes> TimesAsync() => (VcpuTimes)await _session.Ask(new GetVcpuTimes());

    /// <summary>Waits until a CPU that has nothing to do is seen in WFI.</summary>
    public async Task AwaitStandbyAsync(int cpu)
    {
        using var patience = new CancellationTokenSource(Patience.Limit);
        while (((CpusPowerState)await _session.Ask(new GetCpusPowerState())).Oper[cpu] != CpuOperationalState.Standby)
        {
            patience.Token.ThrowIfCancellationRequested();
        }
    }

    /// <summary>The guest powers itself off; the VM ends, and the kernel has found no fault.</summary>
    public async Task PowerOffAsync()
    {
        string faults = await Shell.RunAsync("dmesg | grep -E 'WARNING|BUG|Oops|Call trace|rcu: INFO|lockup'");
        Assert.Equal("", faults);
        Shell.Type("poweroff -f");
        await EndAsync();
    }

    /// <summary>Waits until the guest has powered itself off.</summary>
    public async Task EndAsync()
    {
        VmStatus ended = await _session.Ended.WaitAsync(Patience.Limit);
        Assert.Equal(VmRunState.Shutdown, ended.RunState);
    }

    // So that nobody waits for what a VM that has ended would have printed.
    private async Task TellOfTheEndAsync()
    {
        VmStatus ended = await _session.Ended;
        Shell.End($"the VM is in the state {ended.RunState}: {ended.Detail}");
    }

    // A guest that a busy host left no time is timed out first, and what it was asked for is still done.
    private void Hear(HotplugOutcome outcome)
    {
        if (outcome.Kind != HotplugOutcomeKind.TimedOut)
        {
            Volatile.Read(ref _outcome).TrySetResult(outcome);
        }
    }

    /// <summary>Opens a QMP server for this VM; the path of its socket.</summary>
    public string ServeQmp()
    {
        string path = Path.Combine(Path.GetTempPath(), $"vmm-qmp-{Guid.NewGuid():N}");
        _qmp = new SocketDevice("qmp", new SocketTarget(path, "", 0, Server: true, Wait: false));
        var commands = new MonitorCommands(new MonitorVm(() => Machine.Config, _session.Ask, () => { }), () => [_qmp]);
        var server = new QmpServer(QmpCommands.Create(commands, (line, cpu) => HmpMonitor.ExecuteAlone(commands, line, cpu)));
        _session.Published += server.Publish;
        _ = server.RunAsync(_qmp, pretty: false, _stop.Token);
        return path;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _session.DisposeAsync();
        if (_qmp != null)
        {
            await _qmp.DisposeAsync();
        }

        _stop.Dispose();
    }
}
