using System.Buffers.Binary;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Host;
using Vmm.Host.Migration;
using Xunit;

namespace Vmm.Host.Tests;

public sealed class RehearsalTests
{
    // b .
    private const uint Forever = 0x14000000;

    [Fact]
    public async Task RunAsync_goes_through_its_requests_and_touches_nothing_of_the_VM()
    {
        byte[] kernel = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(kernel, Forever);
        var config = new MachineConfig(CpuModel.Find("max")!, 1, new CpuTopology(1, 1, 2, 1), 16 << 20, new BootConfig(kernel, null, ""));
        var heard = new List<IProtocolMessage>();
        await using var session = new VmSession(config, _ => { }, heard.Add);
        await session.Ask(new StartVm());

        await Rehearsal.RunAsync(config, CancellationToken.None).WaitAsync(Patience.Limit);

        var cpus = Assert.IsType<CpusPowerState>(await session.Ask(new GetCpusPowerState()));
        Assert.Equal([CpuAdminState.Enabled, CpuAdminState.Removed], cpus.Admin);
        Assert.Empty(heard);
    }

    [Fact]
    public async Task Move_from_machine_to_machine_ends_and_touches_nothing_of_the_VM()
    {
        byte[] kernel = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(kernel, Forever);
        var config = new MachineConfig(CpuModel.Find("max")!, 1, new CpuTopology(1, 1, 1, 1), 16 << 20, new BootConfig(kernel, null, ""));
        await using var session = new VmSession(config, _ => { }, _ => { });
        await session.Ask(new StartVm());
        await MigrationRehearsal.RunAsync(config, CancellationToken.None).WaitAsync(Patience.Limit);
        Assert.Equal(MigrationStatus.None, Assert.IsType<MigrationInfo>(await session.Ask(new GetMigration())).Status);
        Assert.Equal(VmRunState.Running, Assert.IsType<VmStatus>(await session.Ask(new GetVmStatus())).RunState);
    }

    [Theory]
    [InlineData("max")]
    [InlineData("cortex-a57")]
    public async Task Program_of_all_instructions_runs_to_its_end(string model)
    {
        var config = new MachineConfig(CpuModel.Find(model)!, 1, new CpuTopology(1, 1, 2, 1), 16 << 20, new BootConfig(null, null, ""));
        await TranslatorRehearsal.RunAsync(config, CancellationToken.None).WaitAsync(Patience.Limit);
    }

    [Fact]
    public async Task RunAsync_that_is_stopped_ends()
    {
        var config = new MachineConfig(CpuModel.Find("max")!, 1, new CpuTopology(1, 1, 2, 1), 16 << 20, new BootConfig(null, null, ""));
        using var stop = new CancellationTokenSource();
        Task rehearsal = Rehearsal.RunAsync(config, stop.Token);
        await stop.CancelAsync();
        await rehearsal.WaitAsync(Patience.Limit).ContinueWith(_ => { }, TaskScheduler.Default);
        Assert.True(rehearsal.IsCompleted);
    }
}
