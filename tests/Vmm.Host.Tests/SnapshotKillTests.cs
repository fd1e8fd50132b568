using System.Diagnostics;
using Vmm.Emulation.Block;
using Vmm.Emulation.Block.Qcow2;
using Vmm.Emulation.Snapshots;
using Vmm.Host.Options;

namespace Vmm.Host.Tests;

/// <summary>
/// The program is killed while it saves: there is the old snapshot or the new one, whole, and so in the images of its disks, which have no
/// other after the next start. It is killed while a single disk gets snapshots and loses them: the image is whole.
/// </summary>
public sealed class SnapshotKillTests : IDisposable
{
    private const int Kills = 24;

    // What RAM has to be written of, so that a save takes some time.
    private const int Contents = 48 << 20;

    private readonly string _folder = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());

    public SnapshotKillTests() => Directory.CreateDirectory(_folder);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string StatePath => Path.Combine(_folder, "state");

    private string[] Disks => [Path.Combine(_folder, "a.qcow2"), Path.Combine(_folder, "b.qcow2")];

    private async Task<Process> StartAsync()
    {
        string image = Path.Combine(_folder, "Image");
        string initrd = Path.Combine(_folder, "initrd");
        if (!File.Exists(initrd))
        {
            await File.WriteAllBytesAsync(image, EmptyMachine.Program.ToArray());
            byte[] bytes = new byte[Contents];
            new Random(1).NextBytes(bytes);
            await File.WriteAllBytesAsync(initrd, bytes);
        }

        if (!File.Exists(Disks[0]))
        {
            Array.ForEach(Disks, d => BlockImage.CreateQcow2(d, new Qcow2Options { Size = 64 << 20 }));
        }

        Process vm = VmmProcess.Start(["-m", "128M", "-kernel", image, "-initrd", initrd, "-serial", "none", "-monitor", "stdio",
            "-state", StatePath, .. Disks.SelectMany((d, i) => new[] { "-drive", $"file={d},format=qcow2,id=d{i}" })]);
        await StdioMonitor.AwaitRunningAsync(vm);
        return vm;
    }

    private static async Task KillAsync(Process vm)
    {
        vm.Kill();
        await vm.WaitForExitAsync().WaitAsync(Patience.Limit);
    }

    // Each image has what the snapshot says of it and nothing else; QEMU finds no error in it.
    private void CheckDisks(SnapshotStore store, bool settled)
    {
        using Snapshot? snapshot = store.Exists("one") ? store.Open("one") : null;
        for (int i = 0; i < Disks.Length; i++)
        {
            DateTimeOffset[] times;
            using (BlockNode node = BlockImage.Open(Disks[i], "qcow2", false, new ImageOptions { Locking = false }))
            {
                times = [.. ((Qcow2Node)node).Snapshots.Select(s => s.Time)];
            }

            DateTimeOffset[] wanted = snapshot == null ? [] : [snapshot.Manifest.Disks![i].SavedAt];
            Assert.True(settled ? times.SequenceEqual(wanted) : wanted.All(times.Contains), $"{Disks[i]}: {string.Join(", ", times)}");
            if (!settled)
            {
                using Process check = Process.Start(new ProcessStartInfo("qemu-img", ["check", "-q", "-f", "qcow2", Disks[i]]))!;
                check.WaitForExit();
                Assert.Equal(0, check.ExitCode);
            }
        }
    }

    [Fact]
    public async Task Kill_while_saving_leaves_the_old_snapshot_or_the_new_one()
    {
        var store = new SnapshotStore(StateFolder.SnapshotsOf(StatePath));
        int generation = 0;
        var saveTime = TimeSpan.Zero;
        for (int kill = 0; kill < Kills; kill++)
        {
            using Process vm = await StartAsync();
            Assert.Empty(Directory.Exists(StateFolder.SnapshotsOf(StatePath)) ? store.CleanUp() : []);
            CheckDisks(store, settled: true);
            bool untilTheEnd = kill % 8 == 1;
            long start = Stopwatch.GetTimestamp();
            await vm.StandardInput.WriteLineAsync("savevm one");
            await vm.StandardInput.FlushAsync();
            if (untilTheEnd)
            {
                await StdioMonitor.AwaitRunningAsync(vm);
                saveTime = Stopwatch.GetElapsedTime(start);
            }
            else
            {
                // From at once until what was seen to be long enough.
                await Task.Delay(saveTime * 1.2 * (kill % 8) / 8);
            }

            await KillAsync(vm);
            CheckDisks(store, settled: false);
            int found = 0;
            if (store.Exists("one"))
            {
                using Snapshot snapshot = store.Open("one");
                snapshot.Verify();
                found = snapshot.Manifest.Generation;
            }

            Assert.True(found == generation + 1 || (found == generation && !untilTheEnd),
                $"kill {kill}: generation {found} after {generation}, a save takes {saveTime.TotalMilliseconds:F0} ms");
            generation = found;
        }

        Assert.InRange(generation, Kills / 8, Kills - 1);
    }

    [Fact]
    public async Task Kill_while_a_disk_gets_snapshots_and_loses_them_leaves_its_image_whole()
    {
        const int Snapshots = 30;
        var random = new Random(1);
        byte[] data = new byte[4 << 20];
        random.NextBytes(data);
        BlockImage.CreateQcow2(Disks[0], new Qcow2Options { Size = 64 << 20, ClusterSize = 4096 });
        BlockImage.CreateQcow2(Disks[1], new Qcow2Options { Size = 64 << 20 });
        using (BlockNode node = BlockImage.Open(Disks[0], "qcow2", true, new ImageOptions()))
        {
            Assert.Equal(Errno.None, node.Write(0, data));
        }

        var took = TimeSpan.Zero;
        var left = new HashSet<string>();
        for (int kill = 0; kill < Kills; kill++)
        {
            using Process vm = await StartAsync();
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < Snapshots; i++)
            {
                // Each is deleted when the next one is there.
                await vm.StandardInput.WriteLineAsync($"snapshot_blkdev_internal d0 k{kill}-{i}");
                await vm.StandardInput.WriteLineAsync(i == 0 ? "" : $"snapshot_delete_blkdev_internal d0 k{kill}-{i - 1}");
            }

            await vm.StandardInput.FlushAsync();
            if (kill == 0)
            {
                await StdioMonitor.AwaitRunningAsync(vm);
                took = Stopwatch.GetElapsedTime(start);
            }
            else
            {
                await Task.Delay(took * random.NextDouble());
            }

            await KillAsync(vm);
            using Process check = Process.Start(new ProcessStartInfo("qemu-img", ["check", "-q", "-f", "qcow2", Disks[0]]))!;
            check.WaitForExit();
            Assert.True(check.ExitCode == 0, $"kill {kill}: qemu-img check ends with {check.ExitCode}");
            using BlockNode node = BlockImage.Open(Disks[0], "qcow2", true, new ImageOptions());
            byte[] now = new byte[data.Length];
            Assert.Equal(Errno.None, node.Read(0, now));
            Assert.True(now.AsSpan().SequenceEqual(data), $"kill {kill}: the disk is another one");
            var image = (Qcow2Node)node;
            string[] names = [.. image.Snapshots.Select(s => s.Name)];
            Assert.True(names.Length is 0 or 1 or 2 && names.All(n => n.StartsWith($"k{kill}-", StringComparison.Ordinal)),
                $"kill {kill}: {string.Join(", ", names)}");
            left.UnionWith(names.Select(n => n[n.IndexOf('-', StringComparison.Ordinal)..]));
            while (image.Snapshots.Count > 0)
            {
                using (Qcow2Change change = image.ApplySnapshot(image.Snapshots[0]))
                {
                    change.Commit();
                }

                Assert.Equal(Errno.None, node.Read(0, now));
                Assert.True(now.AsSpan().SequenceEqual(data), $"kill {kill}: '{image.Snapshots[0].Name}' is another one");
                using Qcow2Change delete = image.DeleteSnapshots([image.Snapshots[0]]);
                delete.Commit();
            }
        }

        Assert.True(left.Count > 3, $"kills came at {string.Join(", ", left)}");
    }
}
