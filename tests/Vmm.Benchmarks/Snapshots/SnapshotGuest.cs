using Vmm.Benchmarks.Hotplug;
using Vmm.Emulation.Snapshots;

namespace Vmm.Benchmarks.Snapshots;

/// <summary>A guest that answers at its console, and whose VM keeps its state in a folder: booted, or started from a snapshot.</summary>
internal sealed class SnapshotGuest : IDisposable
{
    private const int BootCpus = 2;

    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-snapshot-").FullName;
    private readonly string[] _command;
    private readonly string _memory;

    private SnapshotGuest(IReadOnlyList<string> vmm, int mebibytes)
    {
        State = Path.Combine(_folder, "state");
        _command =
        [
            .. vmm, "-cpu", "max", "-smp", $"cpus={BootCpus},maxcpus=4", "-state", State,
        ];
        _memory = $"{mebibytes}M";
    }

    public string State { get; }

    public SnapshotStore Store => new(Path.Combine(State, "snapshots"));

    /// <summary>Prepares a guest of so much RAM; nothing is started.</summary>
    public static async Task<SnapshotGuest> PrepareAsync(IReadOnlyList<string> vmm, int mebibytes)
    {
        var guest = new SnapshotGuest(vmm, mebibytes);
        guest.Arguments = await SoakGuest.PrepareAsync(guest._folder, 0, bringOnline: true).ConfigureAwait(false);
        return guest;
    }

    private string[] Arguments { get; set; } = [];

    /// <summary>Starts the program: it boots, or goes on from a snapshot.</summary>
    /// <param name="consoleLine">Hears the guest.</param>
    public VmRun Start(string? tag, Action<string> consoleLine) =>
        new([.. _command, .. Arguments, "-m", _memory, .. tag == null ? Array.Empty<string>() : ["-loadvm", tag]], consoleLine);

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
