using Serilog;
using Vmm.Actors.Migration;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Boot;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Host.Console;
using Vmm.Host.Logging;
using Vmm.Host.Migration;
using Vmm.Host.Options;
using Vmm.Management.Commands;
using Vmm.Management.Control;
using Vmm.Management.Text;

namespace Vmm.Host.Commands;

/// <summary>
/// <c>vmm run</c>, and <c>vmm -…</c> as QEMU is called: a VM whose serial line is the terminal. The options are those of
/// <see cref="OptionTable"/>.
/// </summary>
public static class RunCommand
{
    public const string Name = "run";
    public const string Description = "Run a VM on this terminal (Ctrl-A h helps); without a command, options are those of run";

    // Debian's kernels boot within it; what is rehearsed then takes nothing from the boot.
    private static readonly TimeSpan s_boot = TimeSpan.FromSeconds(3);

    // How long a rehearsal waits for a host that has more to do than it can.
    private static readonly TimeSpan s_busy = TimeSpan.FromMinutes(5);

    /// <param name="arguments">The options, without the command's name.</param>
    public static async Task<int> Run(IReadOnlyList<string> arguments)
    {
        RunOptions options;
        try
        {
            options = CommandLine.Parse(arguments);
        }
        catch (OptionException e)
        {
            return await Complaint.Write(e.Message).ConfigureAwait(false);
        }

        if (options.Answer != null)
        {
            await System.Console.Out.WriteLineAsync(options.Answer).ConfigureAwait(false);
            return ExitCode.Success;
        }

        return await Run(options).ConfigureAwait(false);
    }

    private static async Task<int> Run(RunOptions options)
    {
        var quit = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        MonitorHost? monitors = null;

        // The host ends the VM; the monitors hear of it first.
        void Quit(ShutdownCause cause)
        {
            if (!quit.Task.IsCompleted)
            {
                monitors?.Publish(new VmShutdown(Guest: false, cause));
                quit.TrySetResult();
            }
        }

        MachineConfig config;
        bool statistics;
        VmSession opened;
        PidFile? pidFile = null;
        DeviceMaker devices;
        ApiSocket? api = null;
        string? elsewhere;
        try
        {
            if (options.Deadline is { } deadline)
            {
                ProcessDeadline.Follow(deadline);
            }

            Log.Logger = LogOption.Create(options.Log);
            TraceOption traceOption = TraceOption.Parse(options);
            EndpointOption? endpoint = options.Remote == null ? null : EndpointOption.Parse(options.Remote);
            AcceleratorOption accelerator = options.Machine.Accelerator;
            statistics = accelerator.Statistics;
            config = options.Machine.ToConfig();
            if (options.Machine.Machine.TreeFile is { } tree)
            {
                return await WriteTree(config, tree).ConfigureAwait(false);
            }

            if (options.Machine.Accel == null && !Accelerators.CanTranslate)
            {
                Log.Warning("This host cannot run translated code: instructions are interpreted");
            }

            string? ofMemory = MemoryOption.Notice(config.MemoryBytes, File.ReadAllText("/proc/meminfo"));
            foreach (string notice in options.Notices.Prepend(ofMemory).Prepend(accelerator.Notice).OfType<string>())
            {
                await Complaint.Write(notice).ConfigureAwait(false);
            }

            traceOption.RequireEngine(config.Accelerator);
            config = config with { Trace = traceOption.Open() };
            monitors = MonitorHost.Open(options, config, () => Quit(ShutdownCause.HostUi));
            pidFile = options.PidFile == null ? null : PidFile.Create(options.PidFile);
            StateFolder? state = options.State == null ? null : StateFolder.Open(options.State);
            foreach (string tag in state?.CutOffSaves ?? [])
            {
                await Complaint.Write($"a save of snapshot '{tag}' had been cut off: what it left was removed").ConfigureAwait(false);
            }

            if (options.LoadVm is { } path && path.Contains('/', StringComparison.Ordinal))
            {
                options = options with { LoadVm = state!.TakeSnapshot(path) };
            }

            elsewhere = state?.MigrationJournal.Elsewhere();
            if (elsewhere != null)
            {
                await Complaint.Write($"{elsewhere}; " + (options.Incoming == null
                    ? "nothing runs here before 'cont', which starts what these options say" : "it may come back"))
                    .ConfigureAwait(false);
            }

            api = options.Api == null ? null : ApiSocket.Open(options.Api);
            var objects = ObjectTable.Of(options);
            devices = new DeviceMaker(options.Machine, config, monitors, objects);
            opened = new VmSession(
                config, SerialOutput(monitors, api), monitors.Report, endpoint, state, options.ShutdownOnReset,
                new MigrationTransport(objects), isLoaded: (options.LoadVm ?? options.Incoming) != null,
                devices: devices)
            {
                StaysAfterShutdown = options.StayAfterShutdown,
            };
            foreach (string line in opened.SettleDisks())
            {
                await Complaint.Write(line).ConfigureAwait(false);
            }

            options.Sandbox?.Enter();
        }
        catch (Exception e) when (e is OptionException or InsufficientMemoryException or NotSupportedException or IOException)
        {
            pidFile?.Dispose();
            if (api != null)
            {
                await api.DisposeAsync().ConfigureAwait(false);
            }

            if (monitors != null)
            {
                await monitors.DisposeAsync().ConfigureAwait(false);
            }

            return await Complaint.Write(e is IOException ? SystemError.Describe(e) : e.Message).ConfigureAwait(false);
        }

        using var terminal = new RawTerminal(monitors.UsesTerminal, () => Quit(ShutdownCause.HostSignal));
        VmStatus? ended = null;
        string? refusal = null;
        string report = "";
        await using (monitors)
        await using (VmSession session = opened)
        await using (MakeAfterStart(session, config, receives: options.Incoming != null))
        await using (api)
        {
            session.Published += monitors.Publish;
            var vm = new MonitorVm(() => session.Machine.Config, session.Ask, () => Quit(ShutdownCause.HostQuit))
            {
                Outcomes = session.AskOutcome,
            };
            IncomingMigration? incoming = options.Incoming == null ? null : new IncomingMigration(session, vm);
            await (incoming?.PrepareAsync(options.Stopped) ?? Task.CompletedTask).ConfigureAwait(false);
            monitors.Start(vm, session.SendSerial);
            await (api?.ServeAsync(options, session, vm) ?? Task.CompletedTask).ConfigureAwait(false);
            await Task.WhenAny(monitors.WaitForClientsAsync(), quit.Task).ConfigureAwait(false);
            if (!quit.Task.IsCompleted)
            {
                refusal = await (incoming?.ReceiveAsync(options) ?? StartAsync(session, options, elsewhere)).ConfigureAwait(false);
            }

            if (refusal != null)
            {
                quit.TrySetResult();
            }

            Task<string> lost = incoming?.Failed ?? new TaskCompletionSource<string>().Task;
            Task end = await Task.WhenAny(session.Ended, quit.Task, lost).ConfigureAwait(false);
            ended = end == session.Ended ? await session.Ended.ConfigureAwait(false) : null;
            refusal = end == lost ? await lost.ConfigureAwait(false) : refusal;

            report = statistics ? session.Machine.DescribeJit() : "";
        }

        terminal.Dispose();
        if (report.Length > 0)
        {
            await System.Console.Error.WriteLineAsync(report).ConfigureAwait(false);
        }

        pidFile?.Dispose();
        config.Firmware?.Code.File?.Dispose();
        config.Firmware?.Variables.File?.Dispose();
        devices.Dispose();
        foreach (IDisposable device in config.VirtioMmio.Concat<IDisposable>(config.PciDevices))
        {
            device.Dispose();
        }

        config.Netdevs.Dispose();

        await Log.CloseAndFlushAsync().ConfigureAwait(false);
        config.Trace?.Dispose();
        if (config.Trace is { Lost: > 0 } lossy)
        {
            await System.Console.Error.WriteLineAsync(
                $"vmm: {lossy.Lost} trace lines were lost: {lossy.Failure ?? "the file was too slow"}")
                .ConfigureAwait(false);
        }

        if (refusal != null)
        {
            return await Complaint.Write(refusal).ConfigureAwait(false);
        }

        if (ended?.RunState == VmRunState.InternalError)
        {
            await System.Console.Error.WriteLineAsync($"vmm: internal error: {ended.Detail}").ConfigureAwait(false);
            return ExitCode.InternalError;
        }

        return ExitCode.Success;
    }

    private static Action<ReadOnlyMemory<byte>> SerialOutput(MonitorHost monitors, ApiSocket? api) =>
        api == null ? monitors.Console.Write : bytes =>
        {
            monitors.Console.Write(bytes);
            api.Write(bytes);
        };

    // What QEMU does and says (-machine dumpdtb=).
    private static async Task<int> WriteTree(MachineConfig config, string path)
    {
        using var board = new VirtBoard(config);
        try
        {
            await File.WriteAllBytesAsync(path, DeviceTree.Build(board, null)).ConfigureAwait(false);
        }
        catch (UnauthorizedAccessException e)
        {
            return await Complaint.Write($"dumpdtb={UserText.Legible(path)}: {SystemError.Describe(e)}").ConfigureAwait(false);
        }

        await Complaint.Write($"dtb dumped to {UserText.Legible(path)}. Exiting.").ConfigureAwait(false);
        return ExitCode.Success;
    }

    // A VM that waits for a migration rehearses it while it waits. Another one does so when most guests have booted, and each when the host
    // has time for it.
    private static AfterStart MakeAfterStart(VmSession session, MachineConfig config, bool receives)
    {
        async Task RehearseAsync(CancellationToken stop)
        {
            if (receives)
            {
                await MigrationRehearsal.RunAsync(config, stop).ConfigureAwait(false);
                await TranslatorRehearsal.RunAsync(config, stop).ConfigureAwait(false);
                await Rehearsal.RunAsync(config, stop).ConfigureAwait(false);
                return;
            }

            await SpareTime.WaitAsync(s_busy, stop).ConfigureAwait(false);
            await Rehearsal.RunAsync(config, stop).ConfigureAwait(false);
            await Task.Delay(s_boot, stop).ConfigureAwait(false);
            await SpareTime.WaitAsync(s_busy, stop).ConfigureAwait(false);
            await MigrationRehearsal.RunAsync(config, stop).ConfigureAwait(false);
        }

        return new AfterStart(session, RehearseAsync, stop => IdleTrim.RunAsync(session.Machine, stop));
    }

    // Why the snapshot was not loaded, if there was one to be.
    private static async Task<string?> StartAsync(VmSession session, RunOptions options, string? elsewhere)
    {
        if (options.LoadVm is not { } tag)
        {
            await session.Ask(options.Stopped || elsewhere != null ? new PrepareVm() : new StartVm()).ConfigureAwait(false);
            return null;
        }

        if (await session.Ask(new LoadSnapshot(tag)).ConfigureAwait(false) is VmCommandRejected rejected)
        {
            return rejected.Reason;
        }

        if (!options.Stopped && elsewhere == null)
        {
            await session.Ask(new ContinueVm()).ConfigureAwait(false);
        }

        return null;
    }
}
