using System.Globalization;
using Vmm.Benchmarks;
using Vmm.Benchmarks.Fleet;
using Vmm.Benchmarks.Hotplug;
using Vmm.Benchmarks.Io;
using Vmm.Benchmarks.Migration;
using Vmm.Benchmarks.Snapshots;
using Vmm.Host.Commands;
using Vmm.Host.Guest;

const string Usage =
    """
    usage: Vmm.Benchmarks interp [SECONDS]      the interpreter's speed
           Vmm.Benchmarks start [--runs N] [--vmm PROGRAM] [--qemu COMMAND]
               how long until the guest's first instruction, and to a kernel's init
           Vmm.Benchmarks hotplug [--rounds N] [--vmm PROGRAM] [--qemu COMMAND --x86-guest FOLDER]
               how long each stage of a plug and an unplug takes; with --qemu the whole ways beside those of QEMU's PC
           Vmm.Benchmarks hotplug-soak [--rounds N] [--resets N] [--seed N] [--first ROUND] [--patience SECONDS]
               [--log FILE] [--vmm PROGRAM]
           Vmm.Benchmarks hotplug-kill [--kills N] [--seed N] [--vmm PROGRAM]
           Vmm.Benchmarks snapshot [--runs N] [--memory MIB] [--vmm PROGRAM]
               how long it takes to save a booted guest, and to go on from it
           Vmm.Benchmarks snapshot-clones [--clones N] [--memory MIB] [--vmm PROGRAM]
               many VMs of one snapshot: when each answers, and the memory of its own
           Vmm.Benchmarks snapshot-kill [--kills N] [--seed N] [--vmm PROGRAM]
           Vmm.Benchmarks migrate [--runs N] [--memory MIB] [--load idle|write|build] [--vmm PROGRAM] [--qemu COMMAND]
               migrations beside QEMU's
           Vmm.Benchmarks migrate-soak [--moves N] [--seed N] [--log FILE] [--suite NAME] [--vmm PROGRAM]
           Vmm.Benchmarks migrate-kill [--kills N] [--cuts N] [--seed N] [--vmm PROGRAM]
           Vmm.Benchmarks io [--runs N] [--vmm PROGRAM] [--qemu COMMAND]
               Debian's boot, disk and network beside QEMU's
           Vmm.Benchmarks io-cuts [--cuts N] [--seed N] [--disk-load fio|packages] [--format raw|qcow2] [--vmm PROGRAM]
           Vmm.Benchmarks io-plugs [--plugs N] [--vmm PROGRAM]
           Vmm.Benchmarks io-moves [--moves N] [--vmm PROGRAM]
           Vmm.Benchmarks fleet-faults [--kind NAME] [--times N] [--seed N] [--logs FOLDER] [--vmm PROGRAM]
               what becomes of VMs and requests when nodes, VMs, the database or the network fail
           Vmm.Benchmarks fleet-idle [--vms N] [--memory MIB] [--vmm PROGRAM]
               many VMs that REST makes of one snapshot: what each uses when it is idle
           Vmm.Benchmarks fleet-records [--records N]
               records of VMs that are not there, on three nodes: how long they take to be made, and to be there again after restarts
           Vmm.Benchmarks fleet-rest [--seconds N] [--rate N] [--vmm PROGRAM]
               how soon REST answers reads, beside clients that are slow or wrong
    """;

switch (args)
{
    case ["interp"]:
        return InterpreterBenchmark.Run(3);
    case ["interp", var seconds] when double.TryParse(seconds, out double s) && s > 0:
        return InterpreterBenchmark.Run(s);
    case ["start", ..] when Options(args, "runs", "vmm", "qemu") is { } o:
        return await new StartBenchmark(
            VmmBuild.Program(o.GetValueOrDefault("vmm"))[0], o.GetValueOrDefault("qemu")?.Split('\n') ?? [], Console.Out)
            .RunAsync(Math.Max(Number(o, "runs", 11), 1)).ConfigureAwait(false);
    case ["hotplug", ..] when Options(args, "rounds", "vmm", "qemu", "x86-guest") is { } o:
    {
        int count = Math.Max(Number(o, "rounds", 20), 1);
        IReadOnlyList<PlugRound> rounds =
            await new HotplugStages(VmmBuild.Program(o.GetValueOrDefault("vmm")), Console.Out).RunAsync(count).ConfigureAwait(false);
        if (o.TryGetValue("qemu", out string? qemu) && o.TryGetValue("x86-guest", out string? guest))
        {
            await new HotplugBesideQemu(qemu.Split('\n'), guest, Console.Out).RunAsync(rounds).ConfigureAwait(false);
        }

        return 0;
    }

    case ["hotplug-soak", ..] when Options(args, "rounds", "resets", "seed", "first", "patience", "log", "vmm") is { } o:
    {
        using StreamWriter? log = o.TryGetValue("log", out string? file) ? new StreamWriter(file) { AutoFlush = true } : null;
        var soak = new HotplugSoak(
            VmmBuild.Program(o.GetValueOrDefault("vmm")), Number(o, "seed", Random.Shared.Next(1_000_000)),
            TimeSpan.FromSeconds(Number(o, "patience", 10)), Console.Out, log);
        return await soak.RunAsync(Number(o, "first", 0), Number(o, "rounds", 500), Number(o, "resets", 200)).ConfigureAwait(false) == 0
            ? 0
            : 1;
    }

    case ["hotplug-kill", ..] when Options(args, "kills", "seed", "vmm") is { } o:
        return await new KillSoak(
            VmmBuild.Program(o.GetValueOrDefault("vmm")), Number(o, "seed", Random.Shared.Next(1_000_000)), Console.Out)
            .RunAsync(Number(o, "kills", 200)).ConfigureAwait(false) == 0 ? 0 : 1;
    case ["snapshot", ..] when Options(args, "runs", "memory", "vmm") is { } o:
        return await new SnapshotTimes(VmmBuild.Program(o.GetValueOrDefault("vmm")), Console.Out)
            .RunAsync(Math.Max(Number(o, "runs", 11), 1), Number(o, "memory", 512)).ConfigureAwait(false);
    case ["snapshot-clones", ..] when Options(args, "clones", "memory", "vmm") is { } o:
        return await new SnapshotClones(VmmBuild.Program(o.GetValueOrDefault("vmm")), Console.Out)
            .RunAsync(Math.Max(Number(o, "clones", 50), 1), Number(o, "memory", 512)).ConfigureAwait(false);
    case ["snapshot-kill", ..] when Options(args, "kills", "seed", "vmm") is { } o:
        return await new SnapshotKills(
            VmmBuild.Program(o.GetValueOrDefault("vmm")), Number(o, "seed", Random.Shared.Next(1_000_000)), Console.Out)
            .RunAsync(Number(o, "kills", 300)).ConfigureAwait(false) == 0 ? 0 : 1;
    case ["migrate", ..] when Options(args, "runs", "memory", "load", "vmm", "qemu") is { } o
        && Enum.TryParse(o.GetValueOrDefault("load", "idle"), ignoreCase: true, out GuestLoad load) && load != GuestLoad.Stress:
        return await new MigrationBesideQemu(
            VmmBuild.Program(o.GetValueOrDefault("vmm")), o.GetValueOrDefault("qemu")?.Split('\n') ?? [], Console.Out)
            .RunAsync(
                Math.Max(Number(o, "runs", 3), 1),
                o.ContainsKey("memory") ? [Number(o, "memory", 0)] : [512, 2048],
                o.ContainsKey("load") ? [load] : [GuestLoad.Idle, GuestLoad.Write, GuestLoad.Build]).ConfigureAwait(false) == 0 ? 0 : 1;
    case ["migrate-soak", ..] when Options(args, "moves", "seed", "log", "suite", "vmm") is { } o:
    {
        using StreamWriter? log = o.TryGetValue("log", out string? file) ? new StreamWriter(file) { AutoFlush = true } : null;
        string suite = o.GetValueOrDefault("suite", GuestKernel.DefaultSuite);
        return await new MigrationSoak(
            VmmBuild.Program(o.GetValueOrDefault("vmm")), suite, Number(o, "seed", Random.Shared.Next(1_000_000)), Console.Out, log)
            .RunAsync(Number(o, "moves", 500)).ConfigureAwait(false) == 0 ? 0 : 1;
    }

    case ["migrate-kill", ..] when Options(args, "kills", "cuts", "seed", "vmm") is { } o:
        return await new MigrationKills(
            VmmBuild.Program(o.GetValueOrDefault("vmm")), Number(o, "seed", Random.Shared.Next(1_000_000)), Console.Out)
            .RunAsync(Number(o, "kills", 300), Number(o, "cuts", 300)).ConfigureAwait(false) == 0 ? 0 : 1;
    case ["io", ..] when Options(args, "runs", "vmm", "qemu") is { } o:
        return await new IoBesideQemu(
            VmmBuild.Program(o.GetValueOrDefault("vmm")), o.GetValueOrDefault("qemu")?.Split('\n') ?? [], Console.Out)
            .RunAsync(Math.Max(Number(o, "runs", 3), 1)).ConfigureAwait(false) == 0 ? 0 : 1;
    case ["io-cuts", ..] when Options(args, "cuts", "seed", "disk-load", "format", "vmm") is { } o
        && Enum.TryParse(o.GetValueOrDefault("disk-load", "fio"), ignoreCase: true, out CutLoad diskLoad):
        return await new PowerCuts(
            VmmBuild.Program(o.GetValueOrDefault("vmm")), Number(o, "seed", Random.Shared.Next(1_000_000)), Console.Out)
            .RunAsync(
                Number(o, "cuts", 100),
                o.ContainsKey("disk-load") ? [diskLoad] : [CutLoad.Fio, CutLoad.Packages],
                o.TryGetValue("format", out string? format) ? [format] : ["raw", "qcow2"]).ConfigureAwait(false) == 0 ? 0 : 1;
    case ["io-plugs", ..] when Options(args, "plugs", "vmm") is { } o:
        return await new DevicePlugs(VmmBuild.Program(o.GetValueOrDefault("vmm")), Console.Out)
            .RunAsync(Number(o, "plugs", 1000)).ConfigureAwait(false) == 0 ? 0 : 1;
    case ["io-moves", ..] when Options(args, "moves", "vmm") is { } o:
        return await new DebianMoves(VmmBuild.Program(o.GetValueOrDefault("vmm")), Console.Out)
            .RunAsync(Number(o, "moves", 50)).ConfigureAwait(false) == 0 ? 0 : 1;
    case ["fleet-faults", ..] when Options(args, "kind", "times", "seed", "logs", "vmm") is { } o
        && Enum.TryParse(o.GetValueOrDefault("kind", nameof(FleetFault.Node)), ignoreCase: true, out FleetFault kind)
        && Enum.IsDefined(kind):
        return await FleetBench.FaultsAsync(
            VmmBuild.Program(o.GetValueOrDefault("vmm")), o.ContainsKey("kind") ? [kind] : Enum.GetValues<FleetFault>(),
            Number(o, "times", 20), Number(o, "seed", Random.Shared.Next(1_000_000)), o.GetValueOrDefault("logs")).ConfigureAwait(false);
    case ["fleet-idle", ..] when Options(args, "vms", "memory", "vmm") is { } o:
        return await FleetBench.RunAsync(stop => new IdleVms(VmmBuild.Program(o.GetValueOrDefault("vmm")), Console.Out, stop)
            .RunAsync(Math.Max(Number(o, "vms", 50), 1), Number(o, "memory", 256))).ConfigureAwait(false);
    case ["fleet-records", ..] when Options(args, "records") is { } o:
        return await FleetBench.RunAsync(stop => FleetRecords.RunAsync(Math.Max(Number(o, "records", 1000), 1), Console.Out, stop))
            .ConfigureAwait(false);
    case [NodeCommand.Name, "--config", var config, "--log", var log]:
        return await NodeCommand.RunAsync(config, log, SimulatedVms.Of).ConfigureAwait(false);
    case ["fleet-rest", ..] when Options(args, "seconds", "rate", "vmm") is { } o:
        return await FleetBench.RunAsync(stop => new RestLoad(VmmBuild.Program(o.GetValueOrDefault("vmm")), Console.Out, stop)
            .RunAsync(Math.Max(Number(o, "seconds", 30), 1), Math.Max(Number(o, "rate", 200), 1))).ConfigureAwait(false);
    default:
        Console.Error.WriteLine(Usage);
        return 2;
}

// The options behind a command, each with a value; null when that is not what they are.
static Dictionary<string, string>? Options(string[] args, params string[] names)
{
    var options = new Dictionary<string, string>();
    for (int i = 1; i < args.Length; i += 2)
    {
        string name = args[i].StartsWith("--", StringComparison.Ordinal) ? args[i][2..] : "";
        if (!names.Contains(name) || i + 1 == args.Length
            || (name is not ("log" or "vmm" or "qemu" or "x86-guest" or "load" or "disk-load" or "format" or "suite" or "kind"
                or "logs")
                && !int.TryParse(args[i + 1], CultureInfo.InvariantCulture, out _)))
        {
            return null;
        }

        options[name] = args[i + 1];
    }

    return options;
}

static int Number(Dictionary<string, string> options, string name, int otherwise) =>
    options.TryGetValue(name, out string? value) ? int.Parse(value, CultureInfo.InvariantCulture) : otherwise;
