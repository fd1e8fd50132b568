using System.CommandLine;
using System.Globalization;
using Vmm.Emulation.Block;
using Vmm.Emulation.Boards;
using Vmm.Host.Commands;
using Vmm.Host.Guest;
using Vmm.Host.Guest.Disk;
using Vmm.Host.Options;

namespace Vmm.Host.Demo;

/// <summary><c>vmm demo</c>: plugs and unplugs a vCPU of a Debian guest, prints a timeline, and judges by what the guest printed.</summary>
public static class DemoCommand
{
    public const string Name = "demo";

    /// <summary>How long a demonstration that is interrupted may take to end what it has started.</summary>
    public static readonly TimeSpan EndsWithin = TimeSpan.FromMinutes(1);

    public static Command Create()
    {
        var rounds = new Option<int>("--rounds")
        {
            Description = "plug and unplug so many times more",
            DefaultValueFactory = _ => 0,
            CustomParser = result =>
            {
                if (!int.TryParse(result.Tokens[0].Value, NumberStyles.None, CultureInfo.InvariantCulture, out int value))
                {
                    result.AddError($"--rounds takes a number, not '{result.Tokens[0].Value}'");
                }

                return value;
            },
        };
        var kernel = new Option<string?>("--kernel") { Description = "a kernel in place of Debian's: an arm64 Image" };
        var initrd = new Option<string?>("--initrd")
        {
            Description = "an initial RAM disk in place of ours, whose first process gives a root shell on ttyAMA0, with /proc and /sys "
                + "mounted, grep, awk, taskset and dmesg",
        };
        var migrate = new Option<bool>("--migrate")
        {
            Description = "move a guest under load to another process and back, while CPUs are plugged and taken out",
        };
        var distro = new Option<bool>("--distro")
        {
            Description = "boot Debian from a disk, log in by ssh, and plug CPUs while it works on its disk and network (the disk is made "
                + "first, which takes some minutes)",
        };
        var plot = new Option<string?>("--plot") { Description = "with --migrate: draw dirty pages and throughput there, as SVG" };
        var fleet = new Option<bool>("--fleet")
        {
            Description = "run a fleet of three nodes and twelve VMs on this machine: CPUs follow a load, a node is drained, one is killed",
        };
        var command = new Command(Name, "Boot Debian's kernel, plug a vCPU into it and take it out again")
        {
            rounds, kernel, initrd, migrate, plot, distro, fleet,
        };
        command.Validators.Add(result =>
        {
            if (result.GetValue(plot) != null && !result.GetValue(migrate))
            {
                result.AddError("--plot goes with --migrate");
            }

            bool others = result.GetValue(migrate) || result.GetValue(kernel) != null || result.GetValue(initrd) != null
                || result.GetValue(rounds) > 0;
            foreach ((Option<bool> alone, Option<bool> other) in ((Option<bool>, Option<bool>)[])[(distro, fleet), (fleet, distro)])
            {
                if (result.GetValue(alone) && (others || result.GetValue(other)))
                {
                    result.AddError($"{alone.Name} goes with no other option");
                    break;
                }
            }
        });
        command.SetAction((parsed, cancellation) => parsed.GetValue(distro) ? RunAsync(DistroAsync, cancellation)
            : parsed.GetValue(fleet) ? RunAsync(FleetAsync, cancellation)
            : RunAsync(
            (progress, _) => HotplugAsync((config, line) => parsed.GetValue(migrate)
                ? MigrationScenario.RunAsync(line, parsed.GetValue(plot), System.Console.WriteLine)
                : HotplugScenario.RunAsync(config, parsed.GetValue(rounds), System.Console.WriteLine),
            parsed.GetValue(kernel), parsed.GetValue(initrd), progress, cancellation), cancellation));
        return command;
    }

    private static async Task<IReadOnlyList<Finding>> HotplugAsync(
        Func<MachineConfig, IReadOnlyList<string>, Task<IReadOnlyList<Finding>>> scenario, string? kernel, string? initrd,
        ProgressBar progress, CancellationToken cancellation)
    {
        if (kernel == null)
        {
            GuestFiles files = await GuestAssets.EnsureAsync(new GuestKernel(), progress, cancellation).ConfigureAwait(false);
            kernel = files.Kernel;
            initrd ??= files.Initramfs;
        }

        initrd ??= await GuestAssets.EnsureInitramfsAsync(progress, cancellation).ConfigureAwait(false);
        IReadOnlyList<string> line =
            CoverLetter.LaunchLine(kernel, initrd, Accelerators.CanTranslate ? "jit" : "interp", firmware: null);
        System.Console.WriteLine(CoverLetter.Quote(line));
        MachineConfig config = CommandLine.Parse(line).Machine.ToConfig();
        return await scenario(config, line).WaitAsync(cancellation).ConfigureAwait(false);
    }

    private static async Task<IReadOnlyList<Finding>> DistroAsync(ProgressBar progress, CancellationToken cancellation)
    {
        string disk = await GuestDisk.EnsureAsync(progress, cancellation).ConfigureAwait(false);
        string firmware = await GuestAssets.EnsureFirmwareAsync(progress, cancellation).ConfigureAwait(false);
        return await DistroScenario.RunAsync(disk, firmware, System.Console.WriteLine, cancellation).ConfigureAwait(false);
    }

    private static async Task<IReadOnlyList<Finding>> FleetAsync(ProgressBar progress, CancellationToken cancellation)
    {
        GuestFiles files = await GuestAssets.EnsureAsync(new GuestKernel(), progress, cancellation).ConfigureAwait(false);
        return await FleetScenario.RunAsync(files, System.Console.WriteLine, cancellation).ConfigureAwait(false);
    }

    private static async Task<int> RunAsync(
        Func<ProgressBar, CancellationToken, Task<IReadOnlyList<Finding>>> scenario, CancellationToken cancellation)
    {
        try
        {
            var progress = new ProgressBar(System.Console.Error, !System.Console.IsErrorRedirected);
            return Judge(await scenario(progress, cancellation).ConfigureAwait(false));
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return ExitCode.Interrupted;
        }
        catch (Exception e) when (e is GuestAssetsException or GuestSilentException or OptionException or BlockException or FleetException)
        {
            await System.Console.Error.WriteLineAsync($"vmm: {e.Message}").ConfigureAwait(false);
            return e is GuestSilentException or FleetException ? ExitCode.DemoFailed : ExitCode.BadInput;
        }
    }

    private static int Judge(IReadOnlyList<Finding> findings)
    {
        System.Console.WriteLine();
        foreach (Finding f in findings)
        {
            System.Console.WriteLine(f.Holds ? $"ok      {f.What}: {Quote(f.Seen)}"
                : $"FAILED  {f.What}: expected {Quote(f.Expected)}, seen {Quote(f.Seen)}");
        }

        int failed = findings.Count(f => !f.Holds);
        System.Console.WriteLine(failed == 0 ? $"demo: all {findings.Count} checks hold"
            : $"demo: {failed} of {findings.Count} checks FAILED");
        return failed == 0 ? ExitCode.Success : ExitCode.DemoFailed;
    }

    private static string Quote(string text) => text.Length == 0 ? "nothing" : text.Replace('\n', ' ');
}
