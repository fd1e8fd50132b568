using System.Globalization;
using Vmm.Actors.Protocol;
using Vmm.Emulation;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Memory;
using Vmm.Host.Migration;
using Vmm.Host.Options;

namespace Vmm.Host.Tests.Migration;

/// <summary>Receivers with all their actors, for fuzzers: how they are made, and what may become of them.</summary>
internal static class FuzzedReceiver
{
    public const ulong MemoryBytes = 8 << 20;

    private const int DefaultSeed = 20261128;

    /// <summary>How long, from which seed, and from which case on: the environment says it, or else it is a short run.</summary>
    public static (double? Seconds, int Seed, int First) Run()
    {
        double? seconds = Number("VMM_FUZZ_SECONDS");
        return (seconds, (int)(Number("VMM_FUZZ_SEED") ?? (seconds == null ? DefaultSeed : Random.Shared.Next(100_000_000))),
            (int)(Number("VMM_FUZZ_FIRST") ?? 0));
    }

    private static VmSession NewVm() => new(
        new MachineConfig(CpuModel.Find("max")!, 2, new CpuTopology(1, 1, 4, 1), MemoryBytes,
            new BootConfig(EmptyMachine.Program, RandomBytes(new Random(1), 600_000), "")),
        _ => { }, _ => { }, migration: new MigrationTransport([]), logger: Serilog.Core.Logger.None);

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

    public static async Task<VmSession> WaitingAsync(params MigrationCapability[] capabilities)
    {
        VmSession vm = NewVm();
        Assert.Equal(new VmStatus(VmRunState.InMigrate, ""), await vm.Ask(new PrepareIncoming()));
        await SetAsync(vm, capabilities);
        return vm;
    }

    /// <summary>How it ended for the receiver.</summary>
    public static async Task<string> JudgeAsync(VmSession receiver, string name)
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
