using System.Globalization;
using Vmm.Actors.Journals;
using Vmm.Actors.Migration;
using Vmm.Actors.Protocol;
using Vmm.Actors.Snapshots;
using Vmm.Fleet.Isolation;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Nodes;

/// <summary>
/// What makes, ends, saves and moves a VM's process. Each operation goes on from what there is, so it may be repeated. The instance that a
/// method returns is there when it has ended; null for none.
/// </summary>
/// <param name="settings">Of the node.</param>
/// <param name="folder">The VM's.</param>
/// <param name="happened">Takes what the VM publishes.</param>
internal sealed class LifecycleOperations(NodeSettings settings, VmFolder folder, Action<IProtocolMessage> happened)
{
    /// <summary>The end of an operation on a VM without a process.</summary>
    public static readonly OperationResult NotRunning = OperationResult.Of(RequestOutcome.Failed, "the VM does not run");

    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(50);

    /// <summary>The process of an earlier run of the node, or one whose connection was lost; null if there is none.</summary>
    public Task<VmInstance?> FindAsync(CancellationToken stop) => VmInstance.FindAsync(folder, happened, stop);

    /// <summary>Starts a process, unless there is one.</summary>
    /// <param name="fromSnapshot">Whether it goes on from the snapshot that the VM is made of.</param>
    public async Task<(OperationResult Result, VmInstance? Vm)> StartAsync(
        VmInstance? vm, VmSpec spec, bool fromSnapshot, CancellationToken stop)
    {
        if (vm != null)
        {
            return (OperationResult.Done("it runs already"), vm);
        }

        // The process does not reach the folder of another VM.
        var more = new List<string>();
        VmCommandLine.Add(more, "-loadvm", !fromSnapshot || spec.Snapshot.Length == 0 ? ""
            : await Task.Run(() => SnapshotFolder.Take(folder.Snapshots, spec.Snapshot), stop).ConfigureAwait(false));
        return (OperationResult.Done(), await LaunchOwnAsync(spec, more, stop).ConfigureAwait(false));
    }

    /// <summary>Starts a process that goes on from a snapshot, or makes the one there is what was saved.</summary>
    public async Task<(OperationResult Result, VmInstance? Vm)> RestoreAsync(
        VmInstance? vm, VmSpec spec, string tag, CancellationToken stop)
    {
        if (vm == null)
        {
            return (OperationResult.Done(), await LaunchOwnAsync(spec, ["-loadvm", tag], stop).ConfigureAwait(false));
        }

        return (await LoadAsync(vm, tag, stop).ConfigureAwait(false), vm);
    }

    /// <summary>Saves the VM.</summary>
    public static async Task<(OperationResult Result, VmInstance? Vm)> SaveAsync(VmInstance? vm, string tag, CancellationToken stop)
    {
        return vm == null ? (NotRunning, null) : (await SaveAsync((IVmLink)vm, tag, stop).ConfigureAwait(false), vm);
    }

    /// <summary>Saves a VM that runs, in place of a snapshot of that name.</summary>
    public static async Task<OperationResult> SaveAsync(IVmLink vm, string tag, CancellationToken stop)
    {
        IProtocolMessage answer = await vm.AskAsync(new SaveSnapshot(tag, Replace: true, Compress: false), stop).ConfigureAwait(false);
        return answer is SnapshotSaved ? OperationResult.Done() : OperationResult.Failed(answer);
    }

    /// <summary>Makes a VM that runs what was saved.</summary>
    public static async Task<OperationResult> LoadAsync(IVmLink vm, string tag, CancellationToken stop)
    {
        IProtocolMessage answer = await vm.AskAsync(new LoadSnapshot(tag), stop).ConfigureAwait(false);
        return answer is SnapshotLoaded ? OperationResult.Done() : OperationResult.Failed(answer);
    }

    /// <summary>Starts a process that waits for the VM; the detail of the result is its address.</summary>
    public async Task<(OperationResult Result, VmInstance? Vm)> ReceiveAsync(VmInstance? vm, ReceiveVm request, CancellationToken stop)
    {
        List<string> more = ["-incoming", "defer"];
        if (settings.Migration != null)
        {
            MigrationLink.AddSender(more, request.From);
        }

        vm ??= await LaunchAsync(request.Spec, more, stop).ConfigureAwait(false);
        IProtocolMessage answer = await vm.AskAsync(new GetMigration(), stop).ConfigureAwait(false);
        if (answer is MigrationInfo { Incoming: true, Address.Length: > 0 } waiting)
        {
            return (OperationResult.Done(AddressOf(waiting.Address)), vm);
        }

        if (settings.Migration != null)
        {
            answer = await vm.AskAsync(MigrationLink.ReceiverParameters(), stop).ConfigureAwait(false);
            if (answer is not MigrationCommandDone)
            {
                return (OperationResult.Failed(answer), vm);
            }
        }

        answer = await vm.AskAsync(
            new ReceiveMigration(settings.Migration?.Address ?? $"unix:{folder.Incoming}"), stop).ConfigureAwait(false);
        return (answer is MigrationStarted started ? OperationResult.Done(AddressOf(started.Address)) : OperationResult.Failed(answer), vm);
    }

    /// <summary>
    /// Sends the VM to a process that waits for it, and ends the one here. A failed migration leaves the guest running here.
    /// </summary>
    public async Task<(OperationResult Result, VmInstance? Vm)> SendAsync(VmInstance? vm, string address, CancellationToken stop)
    {
        if (vm == null)
        {
            return (NotRunning, null);
        }

        // After a stop the VM has so long to answer, and its migration to end.
        using var limit = new CancellationTokenSource();
        using CancellationTokenRegistration stops = stop.Register(() => limit.CancelAfter(settings.QuitLimit));
        IProtocolMessage status = await vm.AskAsync(new GetMigration(), limit.Token).ConfigureAwait(false);
        if (status is not MigrationInfo { Incoming: false, Status: MigrationStatus.Completed or MigrationStatus.Active })
        {
            IProtocolMessage answer = settings.Migration != null
                ? await vm.AskAsync(MigrationLink.SenderParameters(), stop).ConfigureAwait(false) : new MigrationCommandDone();
            if (answer is MigrationCommandDone)
            {
                answer = await vm.AskAsync(new StartMigration(address, Resume: false), stop).ConfigureAwait(false);
            }

            if (answer is not MigrationStarted)
            {
                return (OperationResult.Failed(answer), vm);
            }
        }

        bool cancels = false;
        while (true)
        {
            status = await vm.AskAsync(new GetMigration(), limit.Token).ConfigureAwait(false);
            switch (status)
            {
                case MigrationInfo { Status: MigrationStatus.Completed } info:
                    await EndAsync(vm.Process, vm).ConfigureAwait(false);
                    return (OperationResult.Done(string.Create(
                        CultureInfo.InvariantCulture,
                        $"downtime {info.DowntimeMilliseconds} ms, total {info.TotalMilliseconds} ms, {info.Transferred} bytes")), null);
                case MigrationInfo { Status: MigrationStatus.Failed } info:
                    return (OperationResult.Of(RequestOutcome.Failed, info.Problem), vm);
                case MigrationInfo { Status: MigrationStatus.Cancelled }:
                    return (OperationResult.Of(RequestOutcome.Cancelled, "the migration was cancelled"), vm);
                case MigrationInfo:
                    break;
                default:
                    return (OperationResult.Failed(status), vm);
            }

            if (stop.IsCancellationRequested && !cancels)
            {
                cancels = true;
                await vm.AskAsync(new CancelMigration(), limit.Token).ConfigureAwait(false);
            }

            await Task.Delay(s_look, limit.Token).ConfigureAwait(false);
        }
    }

    /// <summary>Ends the VM's process, if there is one: by the guest, then in good order, then at once.</summary>
    /// <param name="vm">Null if there is none, or none that answers.</param>
    public async Task<(OperationResult Result, VmInstance? Vm)> StopAsync(VmInstance? vm, TimeSpan powerDown)
    {
        if ((vm?.Process ?? VmProcess.Find(folder)) is not { } process)
        {
            return (OperationResult.Done("it does not run"), null);
        }

        if (vm != null && powerDown > TimeSpan.Zero)
        {
            using var limit = new CancellationTokenSource(powerDown);
            try
            {
                await vm.AskAsync(new PressPowerButton(), limit.Token).ConfigureAwait(false);
                await process.Ended.WaitAsync(limit.Token).ConfigureAwait(false);
                return (OperationResult.Done("the guest powered off"), null);
            }
            catch (OperationCanceledException)
            {
                // It does not listen, or not to its guest.
            }
        }

        return (OperationResult.Done(await EndAsync(process, vm).ConfigureAwait(false)), null);
    }

    /// <summary>Removes the folder of a VM that has no process.</summary>
    public OperationResult Remove()
    {
        if (VmProcess.Find(folder) != null)
        {
            return OperationResult.Of(RequestOutcome.Failed, "the VM runs: stop it first");
        }

        // All of it is gone at once, whatever happens after.
        string removed = Path.Combine(settings.Vms, $"{NodeSupervisor.RemovedPrefix}{folder.Vm}");
        if (Directory.Exists(removed))
        {
            // Of an earlier attempt.
            Directory.Delete(removed, recursive: true);
        }

        if (Directory.Exists(folder.Root))
        {
            Directory.Move(folder.Root, removed);
            Directory.Delete(removed, recursive: true);
        }

        return OperationResult.Done();
    }

    // Where the sender finds it: a host of this node's certificate.
    private string AddressOf(string listens) => settings.Migration?.Reached(listens) ?? listens;

    private async Task<string> EndAsync(VmProcess process, VmInstance? vm)
    {
        if (vm != null)
        {
            using var limit = new CancellationTokenSource(settings.QuitLimit);
            try
            {
                await vm.AskAsync(new QuitVm(), limit.Token).ConfigureAwait(false);
                await process.Ended.WaitAsync(limit.Token).ConfigureAwait(false);
                return "the process was told to end";
            }
            catch (OperationCanceledException)
            {
                // It does not listen.
            }
        }

        process.Kill();
        await process.Ended.ConfigureAwait(false);
        return "the process was killed";
    }

    // A VM that was here, moved away, and is this node's again: whoever asks for its start knows that it runs nowhere. If it was not known
    // when the process here ended whether the guest had left, a person decides.
    private Task<VmInstance> LaunchOwnAsync(VmSpec spec, IReadOnlyList<string> more, CancellationToken stop)
    {
        try
        {
            if (File.Exists(folder.Migrations))
            {
                using MigrationJournalFile journal = MigrationJournalFile.Open(folder.Migrations);
                if (journal.Last is MigrationGone or MigrationArrived)
                {
                    journal.Append(new MigrationOwned(DateTimeOffset.UtcNow.ToUnixTimeMilliseconds()));
                }
            }
        }
        catch (JournalException e)
        {
            throw new IOException(e.Message, e);
        }

        return LaunchAsync(spec, more, stop);
    }

    private Task<VmInstance> LaunchAsync(VmSpec spec, IReadOnlyList<string> more, CancellationToken stop) => settings.Starts.TakeAsync(
        () => settings.Lease is { IsHeld: false } ? throw new IOException("the node has no lease now: nothing is started")
            : VmInstance.StartAsync(
                settings, folder, VmCommandLine.Of(settings, folder, spec, more), new VmConfinement(settings, folder, spec),
                happened, stop),
        stop);
}
