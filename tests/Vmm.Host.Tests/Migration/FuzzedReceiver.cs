using System.Diagnostics;
using System.Globalization;
using Vmm.Actors.Protocol;
using Vmm.Emulation;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Memory;
using Vmm.Host.Migration;
using Vmm.Host.Options;
using Xunit.Abstractions;

namespace Vmm.Host.Tests.Migration;

/// <summary>Receivers with all their actors, for fuzzers: how they are made, and what may become of them.</summary>
internal static class FuzzedReceiver
{
    public const ulong MemoryBytes = 8 << 20;

    private const int DefaultSeed = 20261128;

    /// <summary>
    /// Sends one case after the other, each to a receiver that waits, and judges what became of it. A short run of a fixed seed; with
    /// <c>VMM_FUZZ_SECONDS=600</c> as many seconds, from a random seed or from <c>VMM_FUZZ_SEED</c>; <c>VMM_FUZZ_FIRST</c> is the number of
    /// the first case.
    /// </summary>
    /// <param name="shortRun">How many cases a short run has.</param>
    /// <param name="proveEvery">So often a receiver that has seen bad cases must take a right one.</param>
    /// <param name="send">Sends a case, a right one or one that is spoiled; the last argument is its name.</param>
    public static async Task FuzzAsync(
        ITestOutputHelper output, string what, int shortRun, int proveEvery, MigrationCapability[] capabilities,
        Func<VmSession, bool, Random, string, Task> send)
    {
        double? seconds = Number("VMM_FUZZ_SECONDS");
        int seed = (int)(Number("VMM_FUZZ_SEED") ?? (seconds == null ? DefaultSeed : Random.Shared.Next(100_000_000)));
        int first = (int)(Number("VMM_FUZZ_FIRST") ?? 0);
        var ends = new SortedDictionary<string, int>();
        long start = Stopwatch.GetTimestamp();
        int number = first;
        VmSession? receiver = null;
        try
        {
            for (; seconds == null ? number - first < shortRun : Stopwatch.GetElapsedTime(start).TotalSeconds < seconds; number++)
            {
                var random = new Random(unchecked((seed * 1_000_003) + number));
                string name = $"seed {seed}, number {number}";
                receiver ??= await WaitingAsync(capabilities);
                bool right = number % proveEvery == proveEvery - 1;
                await send(receiver, right, random, name);
                string end = await JudgeAsync(receiver, name);
                ends[end] = ends.GetValueOrDefault(end) + 1;
                Assert.True(!right || end == "running",
                    $"{name}: what is right ends as '{end}': {((MigrationInfo)await receiver.Ask(new GetMigration())).Problem}");
                if (end != "waits")
                {
                    await receiver.DisposeAsync();
                    receiver = null;
                }
            }
        }
        finally
        {
            await (receiver?.DisposeAsync() ?? ValueTask.CompletedTask);
        }

        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"[figure] fuzz {what}: seed {seed}, numbers {first} to {number - 1}, "
                + $"{string.Join(", ", ends.Select(e => $"{e.Key} {e.Value}"))}, "
                + $"{Environment.WorkingSet >> 20} MiB, {Stopwatch.GetElapsedTime(start).TotalSeconds:F1} s"));
        Assert.True(ends.GetValueOrDefault("waits") > (number - first) / 4);
    }

    /// <summary>Has a receiver wait at an address.</summary>
    /// <returns>The port, where it is one of TCP; else 0.</returns>
    public static async Task<int> ReceiveAsync(VmSession receiver, string uri, string name)
    {
        IProtocolMessage answer = await receiver.Ask(new ReceiveMigration(uri));
        string address = answer is MigrationStarted started ? started.Address : throw new InvalidOperationException($"{name}: {answer}");
        return int.TryParse(address.Split(':')[^1], CultureInfo.InvariantCulture, out int port) ? port : 0;
    }

    private static VmSession NewVm() => new(
        new MachineConfig(CpuModel.Find("max")!, 2, new CpuTopology(1, 1, 4, 1), MemoryBytes,
            new BootConfig(EmptyMachine.Program, RandomBytes(new Random(1), 600_000), "")),
        _ => { }, _ => { }, migration: new MigrationTransport(new ObjectTable()), logger: Serilog.Core.Logger.None);

    /// <summary>What a sender writes into a file: a stream up to the hand-over, or with capabilities a file that can be mapped.</summary>
    public static async Task<byte[]> RecordAsync(string path, params MigrationCapability[] capabilities)
    {
        VmSession sender = NewVm();
        await using (sender)
        {
            var over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            sender.Published += message =>
            {
                if (message is MigrationChanged { Status: MigrationStatus.Completed or MigrationStatus.Failed })
                {
                    over.TrySetResult();
                }
            };
            await SetAsync(sender, capabilities);
            await sender.Ask(new StartVm());
            Assert.IsType<MigrationStarted>(await sender.Ask(new StartMigration($"file:{path}", Resume: false)));
            await over.Task.WaitAsync(Patience.Limit);
        }

        return await File.ReadAllBytesAsync(path);
    }

    private static async Task SetAsync(VmSession vm, MigrationCapability[] capabilities) => Assert.IsType<MigrationCommandDone>(
        await vm.Ask(new SetMigrationCapabilities(capabilities, [.. capabilities.Select(_ => true)])));

    private static async Task<VmSession> WaitingAsync(params MigrationCapability[] capabilities)
    {
        VmSession vm = NewVm();
        Assert.Equal(new VmStatus(VmRunState.InMigrate, ""), await vm.Ask(new PrepareIncoming()));
        await SetAsync(vm, capabilities);
        return vm;
    }

    /// <summary>How it ended for the receiver.</summary>
    private static async Task<string> JudgeAsync(VmSession receiver, string name)
    {
        using var patience = new CancellationTokenSource(Patience.Limit);
        MigrationInfo info;
        while ((info = Assert.IsType<MigrationInfo>(await receiver.Ask(new GetMigration()))).Status
            is not (MigrationStatus.Failed or MigrationStatus.Completed or MigrationStatus.PostcopyPaused))
        {
            await Task.Delay(2, patience.Token);
        }

        var status = (VmStatus)await receiver.Ask(new GetVmStatus());
        foreach (string text in (string[])[info.Problem, status.Detail])
        {
            Assert.True(text.Length < 4096 && !text.Any(char.IsControl), $"{name}: '{text}'");
            Assert.False(text.Contains("Exception", StringComparison.Ordinal), $"{name}: '{text}'");
        }

        switch (info.Status, status.RunState)
        {
            case (MigrationStatus.Failed, VmRunState.InMigrate) when info.Problem.Length > 0:
                return "waits";
            case (MigrationStatus.Failed, VmRunState.Paused) when info.Problem.Contains("may run at the sender", StringComparison.Ordinal):
                return "paused";
            case (MigrationStatus.Failed, VmRunState.InternalError) when status.Detail.Length > 0:
                return "refused by a unit";
            case (MigrationStatus.Completed, VmRunState.Running or VmRunState.Paused):
                return status.RunState == VmRunState.Running ? "running" : "completed, paused";
            case (MigrationStatus.Completed, VmRunState.InternalError) when status.Detail.Contains("checksum", StringComparison.Ordinal):
                return "damage found later";
            case (MigrationStatus.PostcopyPaused, _):
                return "lacks pages";
            default:
                Assert.Fail($"{name}: {info.Status}, '{info.Problem}', {status}");
                return "";
        }
    }

    public static ulong Hostile(Random random)
    {
        const ulong Pages = MemoryBytes / GuestMemory.PageSize;
        return random.Next(8) switch
        {
            0 => 0,
            1 => Pages - 1,
            2 => Pages,
            3 => ulong.MaxValue,
            4 => 1ul << random.Next(64),
            5 => (uint)random.Next((int)Pages) | ((ulong)(uint)random.Next((int)Pages * 2) << 32),
            6 => ulong.MaxValue << 32,
            _ => (ulong)random.NextInt64(),
        };
    }

    public static byte[] RandomBytes(Random random, int count)
    {
        byte[] bytes = new byte[count];
        random.NextBytes(bytes);
        return bytes;
    }

    private static double? Number(string variable) =>
        double.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.Float, CultureInfo.InvariantCulture, out double value)
            ? value : null;
}
