using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Xunit.Abstractions;

namespace Vmm.Guest.Tests;

/// <summary>What must not disturb a guest: the host's garbage collector, and more vCPUs than the host has cores.</summary>
public sealed class StressTests(ITestOutputHelper output)
{
    private const int Rounds = 2;
    private const int FewestCollections = 10;

    private static readonly TimeSpan s_shortestPause = TimeSpan.FromMilliseconds(20);

    /// <summary>
    /// All generations are collected and compacted, one after the other with pauses as long, while four vCPUs sort and
    /// hash.
    /// </summary>
    [Theory]
    [InlineData(Accelerators.DefaultTranslationBytes)]
    [InlineData(1 << 20)]
    public async Task Collecting_garbage_again_and_again_leaves_results_right(long translationBytes)
    {
        await using ShellVm vm = await ShellVm.BootAsync("max", 4, 4, translationBytes: translationBytes);
        using var stop = new CancellationTokenSource();
        var collector = new Thread(() => Collect(stop.Token)) { IsBackground = true, Name = "collector" };
        int collections = GC.CollectionCount(2);
        collector.Start();
        int rounds = 0;
        do
        {
            await AssertPipelinesAsync(vm, 4);
        }
        while (++rounds < Rounds || GC.CollectionCount(2) - collections <= FewestCollections);

        await stop.CancelAsync();
        collector.Join();
        collections = GC.CollectionCount(2) - collections;
        output.WriteLine($"[figure] {rounds * 4} pipelines right during {collections} full collections, {translationBytes >> 20} MiB of "
            + $"translated code");
        await vm.PowerOffAsync();
    }

    /// <summary>
    /// All translated code is given up and its memory given back, every five milliseconds, while four vCPUs sort and hash.
    /// </summary>
    [Fact]
    public async Task Giving_translated_code_back_again_and_again_leaves_results_right()
    {
        await using ShellVm vm = await ShellVm.BootAsync("max", 4, 4);
        using var stop = new CancellationTokenSource();
        int trims = 0;
        var trimmer = new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                vm.Machine.TrimTranslations();
                trims++;
                Thread.Sleep(5);
            }
        }) { IsBackground = true, Name = "trimmer" };
        trimmer.Start();
        for (int i = 0; i < Rounds; i++)
        {
            await AssertPipelinesAsync(vm, 4);
        }

        await stop.CancelAsync();
        trimmer.Join();
        output.WriteLine($"[figure] {Rounds * 4} pipelines right while translated code was given up {trims} times");
        Assert.True(trims > FewestCollections);
        await vm.PowerOffAsync();
    }

    [Fact]
    public async Task Twenty_four_vcpus_boot_and_work()
    {
        var watch = Stopwatch.StartNew();
        await using ShellVm vm = await ShellVm.BootAsync("max", 24, 24, mebibytes: 512);
        output.WriteLine($"[figure] 24 vCPUs: {watch.Elapsed.TotalSeconds:f1} s to the prompt on {Environment.ProcessorCount} cores");
        Assert.Equal("24", await vm.Shell.RunAsync("nproc"));
        await AssertPipelinesAsync(vm, 24);
        await vm.PowerOffAsync();
    }

    // So many pipelines at once, each of three processes.
    private static async Task AssertPipelinesAsync(ShellVm vm, int count)
    {
        string expected = Convert.ToHexStringLower(
            SHA256.HashData(Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(1, 5000).Select(i => $"{i}\n")))));
        string answer = await vm.Shell.RunAsync($"for i in $(seq {count}); do seq 5000 -1 1 | sort -n | sha256sum & done; wait");
        string[] sums = [.. answer.Split('\n').Select(line => line.Split(' ')[0].Trim()).Where(word => word.Length == 64)];
        Assert.Equal(Enumerable.Repeat(expected, count), sums);
    }

    private static void Collect(CancellationToken stop)
    {
        var kept = new Queue<byte[]>();
        while (!stop.IsCancellationRequested)
        {
            for (int i = 0; i < 200; i++)
            {
                kept.Enqueue(new byte[1000 + (i * 10)]);
            }

            while (kept.Count > 1000)
            {
                kept.Dequeue();
            }

            long start = Stopwatch.GetTimestamp();
            GC.Collect(2, GCCollectionMode.Forced, blocking: true, compacting: true);

            // No managed thread runs during a collection, and so no vCPU: they have as long as it took, on a busy host too.
            TimeSpan took = Stopwatch.GetElapsedTime(start);
            Thread.Sleep(took > s_shortestPause ? took : s_shortestPause);
        }
    }
}
