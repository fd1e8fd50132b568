using Vmm.Actors.Protocol;
using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

/// <summary>QEMU's run states.</summary>
public enum RunState
{
    Debug,
    Inmigrate,
    InternalError,
    IoError,
    Paused,
    Postmigrate,
    Prelaunch,
    FinishMigrate,
    RestoreVm,
    Running,
    SaveVm,
    Shutdown,
    Suspended,
    Watchdog,
    GuestPanicked,
    Colo,
}

public sealed record StatusInfo(bool Running, RunState Status);

/// <summary>Commands that run, stop, reset and shut down the VM.</summary>
public sealed class RunStateCommands(MonitorVm vm)
{
    public void Register(QapiCommandTable table)
    {
        table.AddQuery("query-status", QueryStatus);
        table.Add("stop", Stop);
        table.Add("cont", Continue);
        table.Add("system_reset", Reset);
        table.Add("system_powerdown", PowerDown);
        table.Add("system_wakeup", () => throw WakeUp());
        table.Add("inject-nmi", () => throw InjectNmi());
        table.Add("quit", Quit);
    }

    public async Task<StatusInfo> QueryStatus()
    {
        VmRunState state = (await GetStatus().ConfigureAwait(false)).RunState;
        return new StatusInfo(state == VmRunState.Running, state switch
        {
            VmRunState.Running => RunState.Running,
            VmRunState.Prelaunch => RunState.Prelaunch,
            VmRunState.Shutdown => RunState.Shutdown,
            VmRunState.InternalError => RunState.InternalError,
            VmRunState.IoError => RunState.IoError,
            VmRunState.SaveVm => RunState.SaveVm,
            VmRunState.RestoreVm => RunState.RestoreVm,
            VmRunState.InMigrate => RunState.Inmigrate,
            VmRunState.FinishMigrate => RunState.FinishMigrate,
            VmRunState.PostMigrate => RunState.Postmigrate,
            _ => RunState.Paused,
        });
    }

    public Task<VmStatus> GetStatus() => vm.Ask<VmStatus>(new GetVmStatus());

    public Task Stop() => vm.Ask<VmStatus>(new StopVm());

    public Task Continue() => Change(new ContinueVm());

    public Task Reset() => Change(new ResetVm());

    public Task PowerDown() => vm.Ask<VmStatus>(new PressPowerButton());

    /// <summary>The answer to a wake-up: the machine has no sleep states.</summary>
    public static QapiException WakeUp() => new("wake-up from suspend is not supported by this guest");

    public static QapiException InjectNmi() => new("machine does not provide NMIs");

    public Task Quit()
    {
        vm.Quit();
        return Task.CompletedTask;
    }

    // Sends a command that starts or resets the guest. If the VM fails meanwhile, its report is the error.
    private async Task Change(IProtocolMessage command)
    {
        var status = await vm.Ask<VmStatus>(command).ConfigureAwait(false);
        if (status.RunState == VmRunState.InternalError)
        {
            throw new QapiException(status.Detail);
        }
    }
}
