using Serilog.Core;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;

namespace Vmm.Host.Migration;

/// <summary>
/// Runs a program of nearly all instructions in a second, small machine, until they have been interpreted and translated. The .NET runtime
/// loads and links code when it is first used. A guest that comes from elsewhere finds nothing of its code translated; after the rehearsal
/// at least interpreter and translator are as fast as in a VM that has booted its guest.
/// </summary>
internal static class TranslatorRehearsal
{
    private const ulong MemoryBytes = 4 << 20;

    /// <exception cref="OperationCanceledException">It was stopped before its end.</exception>
    public static async Task RunAsync(MachineConfig rehearsed, CancellationToken stop)
    {
        byte[] program = RehearsalProgram.Make();
        var config = new MachineConfig(rehearsed.Cpu, 1, new CpuTopology(1, 1, 1, 1), MemoryBytes, new BootConfig(program, null, ""))
        {
            Accelerator = rehearsed.Accelerator,
        };
        var session = new VmSession(config, _ => { }, _ => { }, logger: Logger.None);
        await using (session.ConfigureAwait(false))
        {
            var over = new TaskCompletionSource<VmRunState>(TaskCreationOptions.RunContinuationsAsynchronously);
            session.Published += message =>
            {
                if (message is VmStatus { RunState: VmRunState.Shutdown or VmRunState.InternalError } status)
                {
                    over.TrySetResult(status.RunState);
                }
            };
            await session.Ask(new StartVm()).ConfigureAwait(false);
            if (await over.Task.WaitAsync(stop).ConfigureAwait(false) != VmRunState.Shutdown)
            {
                throw new InvalidOperationException("the rehearsal of the translator failed");
            }
        }
    }
}
