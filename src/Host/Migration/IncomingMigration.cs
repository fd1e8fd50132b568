using Vmm.Actors.Protocol;
using Vmm.Host.Commands;
using Vmm.Host.Options;
using Vmm.Management.Commands;

namespace Vmm.Host.Migration;

/// <summary>
/// A VM that waits for a migration (<c>-incoming</c>). A migration that fails ends the program, unless <c>migrate-incoming</c> said that it
/// shall not.
/// </summary>
internal sealed class IncomingMigration
{
    private readonly VmSession _session;
    private readonly MonitorVm _vm;
    private readonly TaskCompletionSource<string> _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="session">It has not been told to run.</param>
    public IncomingMigration(VmSession session, MonitorVm vm)
    {
        _session = session;
        _vm = vm;
        session.Published += message =>
        {
            if (message is MigrationChanged { Status: MigrationStatus.Failed })
            {
                _ = LookAsync();
            }
        };
    }

    /// <summary>Completes with the reason when the program is to end. Nobody wants that of a VM that has begun to run.</summary>
    public Task<string> Failed => _failed.Task;

    /// <summary>Brings the VM into the state in which it waits, as in QEMU before a monitor can ask.</summary>
    /// <param name="paused">The guest stays paused when it has arrived (<c>-S</c>).</param>
    public async Task PrepareAsync(bool paused)
    {
        await _session.Ask(new PrepareIncoming()).ConfigureAwait(false);
        if (paused)
        {
            await _session.Ask(new StopVm()).ConfigureAwait(false);
        }
    }

    /// <summary>Lets a sender come, if the command line says where it comes from.</summary>
    /// <returns>Why it cannot; null if it does.</returns>
    public async Task<string?> ReceiveAsync(RunOptions options)
    {
        if (options.Incoming is null or IncomingOption.Defer)
        {
            return null;
        }

        switch (await _session.Ask(new ReceiveMigration(options.Incoming)).ConfigureAwait(false))
        {
            case VmCommandRejected rejected:
                return $"-incoming {options.Incoming}: {rejected.Reason}";
            case MigrationStarted started when started.Address.Length > 0 && started.Address != options.Incoming:
                await Complaint.Write($"a migration is waited for at {started.Address}").ConfigureAwait(false);
                break;
        }

        return null;
    }

    private async Task LookAsync()
    {
        bool waits = await _session.Ask(new GetVmStatus()).ConfigureAwait(false) is VmStatus { RunState: VmRunState.InMigrate };
        if (await _session.Ask(new GetMigration()).ConfigureAwait(false) is not MigrationInfo { Incoming: true } info)
        {
            return;
        }

        // A guest that is here as a whole, though nobody knows whose it is, is a person's to decide about.
        string problem = info.Problem.Length > 0 ? info.Problem : "the migration has failed";
        if (waits && _vm.ExitsOnFailedMigration)
        {
            _failed.TrySetResult(problem);
        }
        else
        {
            await Complaint.Write(problem).ConfigureAwait(false);
        }
    }
}
