using System.Buffers.Binary;
using Serilog.Core;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Host.Options;
using Vmm.Management.Commands;

namespace Vmm.Host.Migration;

/// <summary>
/// Moves a second, small machine to a third one, within the process, over a socket of this host. The .NET runtime loads and links code when
/// it is first used, which makes a guest stand still for tens of milliseconds longer at a first migration; after the rehearsal the first is
/// as short as later ones. The sender is told by QMP, as it is mostly told. Both machines have actors of their own, and nothing of them can
/// be seen from outside.
/// </summary>
internal static class MigrationRehearsal
{
    private const ulong MemoryBytes = 4 << 20;

    // Of RAM that is not zero: more pages than the .NET runtime waits for before it compiles what is done to each of them once more.
    private const int KernelBytes = 512 << 10;

    // So does a client that polls.
    private const int Queries = 40;

    // And what a move does some ten times.
    private const int Moves = 3;

    // WFI; B to it (Arm ARM, sections C6.2.407 and C6.2.26).
    private static readonly uint[] s_guest = [0xD503207F, 0x17FFFFFF];

    /// <exception cref="OperationCanceledException">It was stopped before its end.</exception>
    public static async Task RunAsync(MachineConfig rehearsed, CancellationToken stop)
    {
        byte[] kernel = new byte[KernelBytes];
        Array.Fill(kernel, byte.MaxValue);
        for (int i = 0; i < s_guest.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(kernel.AsSpan(i * sizeof(uint)), s_guest[i]);
        }

        var config = new MachineConfig(rehearsed.Cpu, 1, new CpuTopology(1, 1, 2, 1), MemoryBytes, new BootConfig(kernel, null, ""))
        {
            Accelerator = rehearsed.Accelerator,
        };
        for (int i = 0; i < Moves; i++)
        {
            VmSession sender = Open(config);
            await using (sender.ConfigureAwait(false))
            {
                VmSession receiver = Open(config);
                await using (receiver.ConfigureAwait(false))
                {
                    await MoveAsync(config, sender, receiver, stop).ConfigureAwait(false);
                }
            }
        }
    }

    private static VmSession Open(MachineConfig config) =>
        new(config, _ => { }, _ => { }, migration: new MigrationTransport(new ObjectTable()), logger: Logger.None);

    private static async Task MoveAsync(MachineConfig config, VmSession sender, VmSession receiver, CancellationToken stop)
    {
        var over = new TaskCompletionSource<MigrationStatus>(TaskCreationOptions.RunContinuationsAsynchronously);
        sender.Published += message =>
        {
            if (message is MigrationChanged { Status: MigrationStatus.Completed or MigrationStatus.Failed } changed)
            {
                over.TrySetResult(changed.Status);
            }
        };
        await receiver.Ask(new PrepareIncoming()).ConfigureAwait(false);
        await sender.Ask(new StartVm()).ConfigureAwait(false);
        if (await receiver.Ask(new ReceiveMigration("tcp:127.0.0.1:0")).ConfigureAwait(false) is not MigrationStarted started)
        {
            throw new InvalidOperationException("no port of this host could be listened at for the rehearsal of a migration");
        }

        using var qmp = new RehearsalClient(new MonitorCommands(new MonitorVm(config, sender.Ask, () => { })), sender, stop);
        await qmp.Negotiate().ConfigureAwait(false);
        await qmp.Execute("""{"execute":"migrate-set-capabilities","arguments":{"capabilities":[{"capability":"events","state":true}]}}""")
            .ConfigureAwait(false);
        await qmp.Execute("""{"execute":"migrate-set-parameters","arguments":{"downtime-limit":300}}""").ConfigureAwait(false);
        await qmp.Execute($$$"""{"execute":"migrate","arguments":{"uri":"{{{started.Address}}}"}}""").ConfigureAwait(false);
        for (int i = 0; i < Queries; i++)
        {
            await qmp.Execute("""{"execute":"query-migrate"}""").ConfigureAwait(false);
        }

        if (await over.Task.WaitAsync(stop).ConfigureAwait(false) == MigrationStatus.Failed)
        {
            string? info = await qmp.Execute("""{"execute":"query-migrate"}""").ConfigureAwait(false);
            throw new InvalidOperationException($"the rehearsal of a migration failed: {info}");
        }
    }
}
