using Vmm.Emulation.Block;
using Vmm.Emulation.Block.Qcow2;

namespace Vmm.Emulation.Tests.Block;

/// <summary>
/// The process is killed, or the power fails, after each write while snapshots are made, gone back to and deleted: the image has no error,
/// its snapshots are those of before or of after, and each holds what it held.
/// </summary>
public sealed class SnapshotCutTests : IDisposable
{
    private static readonly ImageOptions s_options = new() { L2CacheSize = 1, RefcountCacheSize = 1, Unmap = true };

    private readonly QemuImages _images = new();

    public void Dispose() => _images.Dispose();

    // What the disk and its snapshots were when the file had so many changes. A change of the snapshots may begin then, else the guest
    // writes.
    private sealed record State(int Count, bool Begins, byte[] Disk, Dictionary<string, byte[]> Snapshots);

    [Theory]
    [InlineData("cluster_size=512")]
    [InlineData("cluster_size=1k")]
    [InlineData("cluster_size=4k,compat=0.10")]
    [InlineData("cluster_size=512,lazy_refcounts=on")]
    public void Image_is_clean_and_as_before_or_as_after(string options)
    {
        const int Size = 128 << 10;
        var random = new Random(options.Length);
        _images.Create("c.qcow2", options, $"{Size}");
        var file = new RecordedFile(File.ReadAllBytes(_images.Path("c.qcow2")));
        Qcow2Node node = Open(file);
        var model = new DiskModel(node, new byte[Size], random);
        var snapshots = new Dictionary<string, byte[]>();
        var states = new List<State> { new(0, false, [.. model.Bytes], []) };
        for (int i = 0; i < 14; i++)
        {
            for (int j = 0; j < 5; j++)
            {
                model.Step(10 << 10);
            }

            Assert.Equal(Errno.None, node.Flush());
            states.Add(new State(file.Count, true, [.. model.Bytes], new(snapshots)));
            model = Change(node, model, snapshots, i, random);
            states.Add(new State(file.Count, false, [.. model.Bytes], new(snapshots)));
        }

        int last = file.Count;
        node.Dispose();
        bool lazy = options.Contains("lazy", StringComparison.Ordinal);
        int judged = 0;
        for (int cut = 0; cut <= last; cut++)
        {
            State before = states.FindLast(s => s.Count <= cut)!;
            State after = states.Find(s => s.Count > cut) ?? before;
            foreach (byte[] left in new[]
            {
                file.After(cut, () => true), file.After(cut, () => false), file.After(cut, () => random.Next(2) == 0, random),
            })
            {
                Judge(left, $"cut {cut}", lazy, before, after, judged++ % 151 == 0);
            }
        }

        Assert.True(judged > 300, $"{judged} cuts");
    }

    private static DiskModel Change(Qcow2Node node, DiskModel model, Dictionary<string, byte[]> snapshots, int step, Random random)
    {
        Qcow2Snapshot? chosen = node.Snapshots.Count == 0 ? null : node.Snapshots[random.Next(node.Snapshots.Count)];
        using (Qcow2Change change = (chosen == null ? 0 : random.Next(4)) switch
        {
            < 2 => node.CreateSnapshot($"s{step}", DateTimeOffset.UnixEpoch, TimeSpan.Zero),
            2 => node.ApplySnapshot(chosen!),
            _ => node.DeleteSnapshots([chosen!]),
        })
        {
            change.Commit();
        }

        string[] now = [.. node.Snapshots.Select(s => s.Name)];
        string[] was = [.. snapshots.Keys];
        if (now.Length > was.Length)
        {
            snapshots.Add($"s{step}", [.. model.Bytes]);
        }
        else if (now.Length < was.Length)
        {
            snapshots.Remove(chosen!.Name);
        }
        else
        {
            return new DiskModel(node, [.. snapshots[chosen!.Name]], random);
        }

        return model;
    }

    private void Judge(byte[] image, string cut, bool lazy, State before, State after, bool askQemu)
    {
        if (!lazy)
        {
            IReadOnlyList<string> errors = Qcow2Checker.Check(image, out _);
            Assert.True(errors.Count == 0, $"{cut}: {string.Join("; ", errors)}");
        }

        var file = new RecordedFile(image);
        Qcow2Node node = Open(file);
        HashSet<string> names = [.. node.Snapshots.Select(s => s.Name)];
        Dictionary<string, byte[]> found = names.SetEquals(before.Snapshots.Keys) ? before.Snapshots : after.Snapshots;
        Assert.True(names.SetEquals(found.Keys), $"{cut}: {string.Join(", ", names)}");
        byte[] disk = DiskModel.ReadAll(node);
        Assert.True(!before.Begins || disk.AsSpan().SequenceEqual(before.Disk)
            || disk.AsSpan().SequenceEqual(after.Disk), $"{cut}: the disk is neither as before nor as after");

        // Whoever goes on makes nothing worse.
        Assert.Equal(Errno.None, node.Write(1024, new byte[20 << 10]));
        foreach (Qcow2Snapshot snapshot in node.Snapshots.ToArray())
        {
            using (Qcow2Change change = node.ApplySnapshot(snapshot))
            {
                change.Commit();
            }

            DiskModel.Equal(found[snapshot.Name], DiskModel.ReadAll(node), 0);
        }

        node.Dispose();
        byte[] closed = file.After(file.Count, () => true);
        Assert.Empty(Qcow2Checker.Check(closed, out _));
        if (askQemu)
        {
            File.WriteAllBytes(_images.Path("cut.qcow2"), closed);
            int code = _images.CheckCode("cut.qcow2", out string output);
            Assert.True(code is 0 or 3, $"{cut}: {output}");
            File.WriteAllBytes(_images.Path("cut.qcow2"), image);
            code = lazy ? 0 : _images.CheckCode("cut.qcow2", out output);
            Assert.True(code is 0 or 3, $"{cut}: {output}");
        }
    }

    private static Qcow2Node Open(RecordedFile file) =>
        Qcow2Image.Open(file, true, s_options, (_, _) => throw new InvalidOperationException());
}
