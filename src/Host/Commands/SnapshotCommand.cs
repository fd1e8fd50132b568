using System.CommandLine;
using System.Globalization;
using Vmm.Emulation.Snapshots;
using Vmm.Host.Options;
using Vmm.Management.Text;

namespace Vmm.Host.Commands;

/// <summary><c>vmm snapshot list|info|verify|rm</c>: the snapshots of a state folder, whether a VM uses it or not.</summary>
public static class SnapshotCommand
{
    public static Command Create()
    {
        Argument<string> Folder() => new("folder") { Description = "the folder of vmm run --state" };
        Argument<string[]> Tags(string description, ArgumentArity arity) => new("tag") { Description = description, Arity = arity };

        Argument<string> of = Folder();
        var list = new Command("list", "List the snapshots") { of };
        list.SetAction(parsed => Run(parsed.GetValue(of)!, List));

        Argument<string> ofInfo = Folder();
        Argument<string[]> shown = Tags("the snapshots to describe", ArgumentArity.OneOrMore);
        var info = new Command("info", "Say what a snapshot is of") { ofInfo, shown };
        info.SetAction(parsed => Run(parsed.GetValue(ofInfo)!, store => Each(parsed.GetValue(shown)!, tag => Info(store, tag))));

        Argument<string> ofVerify = Folder();
        Argument<string[]> verified = Tags("the snapshots to read; all without", ArgumentArity.ZeroOrMore);
        var verify = new Command("verify", "Read all of a snapshot and compare every checksum") { ofVerify, verified };
        verify.SetAction(parsed => Run(parsed.GetValue(ofVerify)!, store => Each(
            parsed.GetValue(verified) is { Length: > 0 } tags ? tags : [.. store.List().Select(e => e.Tag)], tag => Verify(store, tag))));

        Argument<string> ofRemove = Folder();
        Argument<string[]> removed = Tags("the snapshots to remove", ArgumentArity.OneOrMore);
        var remove = new Command("rm", "Remove snapshots; a VM that was loaded from one goes on") { ofRemove, removed };
        remove.SetAction(parsed => Run(parsed.GetValue(ofRemove)!, store => Each(parsed.GetValue(removed)!, store.Remove)));

        return new Command("snapshot", "Snapshots in a state folder") { list, info, verify, remove };
    }

    private static Task<int> Run(string folder, Func<SnapshotStore, Task<int>> act) => Directory.Exists(folder)
        ? Guarded(() => act(new SnapshotStore(StateFolder.SnapshotsOf(folder))))
        : Complaint.Write($"there is no folder '{UserText.Legible(folder)}'");

    private static async Task<int> Guarded(Func<Task<int>> act)
    {
        try
        {
            return await act().ConfigureAwait(false);
        }
        catch (SnapshotException e)
        {
            return await Complaint.Write(e.Message).ConfigureAwait(false);
        }
    }

    // All of them, also when one is wrong.
    private static async Task<int> Each(string[] tags, Action<string> act)
    {
        int code = ExitCode.Success;
        foreach (string tag in tags)
        {
            code = Math.Max(code, await Guarded(() =>
            {
                act(tag);
                return Task.FromResult(ExitCode.Success);
            }).ConfigureAwait(false));
        }

        return code;
    }

    private static Task<int> List(SnapshotStore store)
    {
        IReadOnlyList<SnapshotEntry> entries = store.List();
        if (entries.Count == 0)
        {
            System.Console.WriteLine("There is no snapshot available.");
            return Task.FromResult(ExitCode.Success);
        }

        int width = Math.Max("TAG".Length, entries.Max(e => e.Tag.Length));
        System.Console.WriteLine($"{"TAG".PadRight(width)}  {"SIZE",10}  {"RAM",8}  {"CPUS",7}  {"SAVED",-19}  {"GUEST TIME",13}");
        foreach (SnapshotEntry entry in entries)
        {
            System.Console.WriteLine($"{entry.Tag.PadRight(width)}  {(entry.Manifest is { } manifest ? Row(manifest) : entry.Damage)}");
        }

        return Task.FromResult(ExitCode.Success);
    }

    private static string Row(SnapshotManifest m)
    {
        string cpus = $"{m.Cpus.Count(c => c.Enabled)} of {m.Machine.PossibleCpus}";
        return string.Create(CultureInfo.InvariantCulture, $"{Mebibytes(m.StoredBytes),10}  "
            + $"{SnapshotFormat.Size(m.Machine.MemoryBytes),8}  {cpus,7}  "
            + $"{m.SavedAt.ToLocalTime():yyyy-MM-dd HH:mm:ss}  {GuestTime(m),13}");
    }

    private static void Info(SnapshotStore store, string tag)
    {
        using Snapshot snapshot = store.Open(tag);
        SnapshotManifest m = snapshot.Manifest;
        SavedMachine machine = m.Machine;
        string cpus = string.Join(", ", m.Cpus.Where(c => c.Id.Length > 0)
            .Select(c => $"{UserText.Legible(c.Id)} (CPU {c.Cpu}{(c.Enabled ? "" : ", disabled")})"));
        (string Name, string Value)[] lines =
        [
            ("snapshot", tag),
            ("saved", m.SavedAt.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss zzz", CultureInfo.InvariantCulture)),
            ("by", $"vmm {UserText.Legible(m.Product)}, format {m.Format}"),
            ("guest time", GuestTime(m)),
            ("size", Mebibytes(m.StoredBytes)),
            ("parent", m.Parent?.Tag ?? "none"),
            ("children", store.ChildrenOf(tag) is { Count: > 0 } children ? string.Join(", ", children) : "none"),
            ("disks", m.Disks is { } disks ? string.Join(", ", disks.Select(d => UserText.Legible($"{d.Name} ({d.File})"))) : "none"),
            ("RAM", $"{SnapshotFormat.Size(machine.MemoryBytes)}, "
                + $"{(m.Ram.Compression == RamCompression.None ? "not compressed" : "zstd")}"),
            ("machine", $"{UserText.Legible(machine.Board)}, acpi={(machine.Acpi ? "on" : "off")}"
                + $"{(machine.OnlineCapable ? ", online-capable-cpus=on" : "")}{(machine.Firmware == null ? "" : ", with firmware")}"),
            ("CPU model", UserText.Legible(machine.CpuModel)),
            ("topology", string.Create(CultureInfo.InvariantCulture, $"cpus={machine.EnabledCpus},maxcpus={machine.PossibleCpus},"
                + $"sockets={machine.Sockets},clusters={machine.Clusters},cores={machine.Cores},threads={machine.Threads}")),
            ("CPUs", cpus),
        ];
        foreach ((string name, string value) in lines)
        {
            System.Console.WriteLine($"{name + ":",-12}{value}");
        }

        foreach (var unit in snapshot.ReadState())
        {
            System.Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{"unit:",-12}{UserText.Legible(unit.Id)}, schema {unit.Version}, {unit.Fields.Length} bytes"));
        }
    }

    private static void Verify(SnapshotStore store, string tag)
    {
        using Snapshot snapshot = store.Open(tag);
        long bytes = snapshot.Verify();
        System.Console.WriteLine($"{tag}: whole; {Mebibytes(bytes)} of {SnapshotFormat.Size(snapshot.Manifest.Machine.MemoryBytes)} of RAM "
            + "are not zero");
    }

    private static string Mebibytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1 << 20):F1} MiB");

    private static string GuestTime(SnapshotManifest m) => string.Create(CultureInfo.InvariantCulture,
        $"{(long)m.GuestTime.TotalHours:00}:{m.GuestTime:mm\\:ss\\.fff}");
}
