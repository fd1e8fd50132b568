using System.CommandLine;
using Serilog;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Machine;
using Vmm.Emulation.Tracing;
using Vmm.Host.Console;
using Vmm.Host.Logging;
using Vmm.Host.Options;

namespace Vmm.Host.Commands;

/// <summary><c>vmm run</c>: a VM whose serial line is the terminal.</summary>
public static class RunCommand
{
    public static Command Create()
    {
        var kernel = new Option<string?>("--kernel") { Description = "arm64 Linux Image to boot" };
        var initrd = new Option<string?>("--initrd") { Description = "initial RAM disk" };
        var append = new Option<string>("--append") { Description = "kernel command line", DefaultValueFactory = _ => "" };
        var smp = new Option<string>("--smp") { Description = SmpOption.Syntax, DefaultValueFactory = _ => "1" };
        var memory = new Option<string>("--memory", "-m") { Description = "RAM in MiB, or with K, M, G", DefaultValueFactory = _ => "512M" };
        var cpu = new Option<string>("--cpu") { Description = "CPU model", DefaultValueFactory = _ => "max" };
        var machine = new Option<string>("--machine", "-M") { Description = "virt[,gic-version=3][,acpi=on|off][,dtb-randomness=on|off]", DefaultValueFactory = _ => "virt" };
        var accel = new Option<string?>("--accel") { Description = AcceleratorOption.Syntax };
        var trace = new Option<string?>("--trace") { Description = $"what to trace: {TraceCategoryNames.All}" };
        var traceFile = new Option<string?>("--trace-file") { Description = $"where the trace goes ({TraceOption.DefaultFile})" };
        var log = new Option<string>("--log") { Description = "LEVEL[,FILE]: log to stderr, or to a file", DefaultValueFactory = _ => LogOption.Default };
        var remote = new Option<string?>("--remote") { Description = $"{EndpointOption.Syntax}: take monitor commands of vmm remote; whoever reaches the port controls the VM (127.0.0.1)" };
        var state = new Option<string?>("--state") { Description = "folder that keeps which CPUs are plugged: they are enabled from power-on in the next run" };
        var command = new Command("run", "Run a VM on this terminal (Ctrl-A h helps)")
        {
            kernel, initrd, append, smp, memory, cpu, machine, accel, trace, traceFile, log, remote, state,
        };
        command.SetAction(parsed => Run(
            new MachineOptions(
                parsed.GetValue(kernel),
                parsed.GetValue(initrd),
                parsed.GetValue(append)!,
                parsed.GetValue(smp)!,
                parsed.GetValue(memory)!,
                parsed.GetValue(cpu)!,
                parsed.GetValue(machine)!,
                parsed.GetValue(accel)),
            parsed.GetValue(log)!,
            parsed.GetValue(trace),
            parsed.GetValue(traceFile),
            parsed.GetValue(remote),
            parsed.GetValue(state)));
        return command;
    }

    private static async Task<int> Run(MachineOptions options, string log, string? trace, string? traceFile, string? remote, string? state)
    {
        var quit = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var console = new SerialConsole(RawTerminal.OpenInput(), System.Console.OpenStandardOutput());
        MachineConfig config;
        bool statistics;
        VmSession opened;
        try
        {
            Log.Logger = LogOption.Create(log);
            TraceOption traceOption = TraceOption.Parse(trace, traceFile);
            EndpointOption? endpoint = remote == null ? null : EndpointOption.Parse(remote);
            statistics = AcceleratorOption.Parse(options.Accel).Statistics;
            config = options.ToConfig();
            if (options.Accel == null && !Accelerators.CanTranslate)
            {
                Log.Warning("This host cannot run translated code: instructions are interpreted");
            }

            traceOption.RequireEngine(config.Accelerator);
            config = config with { Trace = traceOption.Open() };
            opened = new VmSession(config, console.Write, console.Report, endpoint, state == null ? null : StateFolder.Open(state));
        }
        catch (Exception e) when (e is OptionException or InsufficientMemoryException or NotSupportedException or IOException)
        {
            await System.Console.Error.WriteLineAsync($"vmm: {e.Message}").ConfigureAwait(false);
            return ExitCode.BadInput;
        }

        using var terminal = new RawTerminal(() => quit.TrySetResult());
        VmStatus? ended = null;
        string report = "";
        await using (VmSession session = opened)
        {
            var monitor = new Vmm.Host.Console.Monitor(config, session.Ask, () => quit.TrySetResult());
            await session.Ask(new StartVm()).ConfigureAwait(false);
            _ = console.Pump(monitor, session.SendSerial, () => quit.TrySetResult());
            if (await Task.WhenAny(session.Ended, quit.Task).ConfigureAwait(false) == session.Ended)
            {
                ended = await session.Ended.ConfigureAwait(false);
            }

            report = statistics ? session.Machine.DescribeJit() : "";
        }

        terminal.Dispose();
        if (report.Length > 0)
        {
            await System.Console.Error.WriteLineAsync(report).ConfigureAwait(false);
        }

        await Log.CloseAndFlushAsync().ConfigureAwait(false);
        config.Trace?.Dispose();
        if (config.Trace is { Lost: > 0 } lossy)
        {
            await System.Console.Error.WriteLineAsync($"vmm: {lossy.Lost} trace lines were lost: {lossy.Failure ?? "the file was too slow"}").ConfigureAwait(false);
        }

        if (ended?.RunState == VmRunState.InternalError)
        {
            await System.Console.Error.WriteLineAsync($"vmm: internal error: {ended.Detail}").ConfigureAwait(false);
            return ExitCode.InternalError;
        }

        return ExitCode.Success;
    }
}
