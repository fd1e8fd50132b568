using System.Diagnostics;
using System.Text.Json.Nodes;
using Vmm.Benchmarks.Hotplug;
using Vmm.Emulation.Snapshots;

namespace Vmm.Benchmarks.Snapshots;

/// <summary>A guest that answers at its console, and whose VM keeps its state in a folder: booted, or started from a snapshot.</summary>
internal sealed class SnapshotGuest : IDisposable
{
    private const int BootCpus = 2;

    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(20);

    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-snapshot-").FullName;
    private readonly IReadOnlyList<string> _vmm;
    private readonly string _memory;

    private SnapshotGuest(IReadOnlyList<string> vmm, int mebibytes)
    {
        State = Path.Combine(_folder, "state");
        _vmm = vmm;
        _memory = $"{mebibytes}M";
    }

    public string State { get; }

    public SnapshotStore Store => new(SnapshotsOf(State));

    private static string SnapshotsOf(string state) => Path.Combine(state, "snapshots");

    /// <summary>Prepares a guest of so much RAM; nothing is started.</summary>
    /// <param name="idle">Its init waits for a question; otherwise it looks for new CPUs 20 times a second.</param>
    public static async Task<SnapshotGuest> PrepareAsync(IReadOnlyList<string> vmm, int mebibytes, bool idle)
    {
        var guest = new SnapshotGuest(vmm, mebibytes);
        guest.Arguments = await SoakGuest.PrepareAsync(guest._folder, 0, bringOnline: !idle).ConfigureAwait(false);
        return guest;
    }

    private string[] Arguments { get; set; } = [];

    /// <summary>Boots it, saves it when it answers, and kills it.</summary>
    /// <param name="command">The monitor's command that saves.</param>
    /// <returns>How long the save took.</returns>
    /// <exception cref="IOException">It was not saved.</exception>
    public async Task<TimeSpan> BootAndSaveAsync(string command)
    {
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using VmRun run = Start(null, line =>
        {
            if (line.Contains(SoakGuest.Ready, StringComparison.Ordinal))
            {
                ready.TrySetResult();
            }
        });
        QmpConnection qmp = await run.ConnectAsync().ConfigureAwait(false);
        await ready.Task.WaitAsync(s_patience).ConfigureAwait(false);
        QmpAnswer answer = await qmp.ExecuteAsync("human-monitor-command", new JsonObject { ["command-line"] = command })
            .WaitAsync(s_patience).ConfigureAwait(false);
        await run.KillAsync().ConfigureAwait(false);
        string said = answer.Error ?? answer.Return!.ToString();
        return said.Length == 0 ? Stopwatch.GetElapsedTime(answer.SentAt, answer.AnsweredAt) : throw new IOException(said);
    }

    /// <summary>Starts the program: it boots, or goes on from a snapshot.</summary>
    /// <param name="consoleLine">Hears the guest.</param>
    /// <param name="awaitsQmp">The VM begins when somebody has connected by QMP.</param>
    public VmRun Start(string? tag, Action<string> consoleLine, bool awaitsQmp = false) => Start(State, tag, consoleLine, awaitsQmp);

    /// <summary>Starts another VM from a snapshot. Its folder has the same files, so that all share the pages of RAM.</summary>
    public VmRun StartClone(int number, string tag, Action<string> consoleLine)
    {
        string state = Path.Combine(_folder, $"clone{number}");
        string from = Path.Combine(SnapshotsOf(State), tag);
        string to = Path.Combine(SnapshotsOf(state), tag);
        Directory.CreateDirectory(to);
        using (var link = Process.Start("cp", ["-al", $"{from}/.", to]))
        {
            link.WaitForExit();
        }

        return Start(state, tag, consoleLine, awaitsQmp: false);
    }

    private VmRun Start(string state, string? tag, Action<string> consoleLine, bool awaitsQmp) => new(
        [
            .. _vmm, "-cpu", "max", "-smp", $"cpus={BootCpus},maxcpus=4", "-state", state, .. Arguments, "-m", _memory,
            .. tag == null ? Array.Empty<string>() : ["-loadvm", tag],
        ],
        consoleLine, awaitsQmp);

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
