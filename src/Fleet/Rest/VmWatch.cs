using Akka.Actor;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Records;

namespace Vmm.Fleet.Rest;

/// <summary>What one client is told of one VM: by its record, and by the node that has it, also when that changes.</summary>
internal sealed class VmWatch
{
    // How often the record is asked, and the node. A VM with many CPUs is looked at less often.
    private static readonly TimeSpan s_record = TimeSpan.FromMilliseconds(300);
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_lookOfCpu = TimeSpan.FromMilliseconds(2);

    // How often a view is told in which only times have changed.
    private const long TimesMilliseconds = 1000;

    private readonly IVms _vms;
    private readonly string _vm;
    private readonly EventStream _events;
    private readonly VmHistory _first;

    // Which node has the VM: the record's task writes it, others read it.
    private volatile string _at;

    public VmWatch(IVms vms, string vm, VmHistory first, EventStream events) =>
        (_vms, _vm, _first, _events, _at) = (vms, vm, first, events, first.Record.Node);

    /// <summary>Tells until the client goes, or the VM is deleted.</summary>
    public async Task RunAsync()
    {
        Task[] all = [FollowRecordAsync(), LookAsync(), FollowConsoleAsync(), _events.ShowAliveAsync()];
        try
        {
            Task first = await Task.WhenAny(all).ConfigureAwait(false);
            await first.ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (_events.Gone.IsCancellationRequested)
        {
            // Nobody listens, or the node ends.
        }
        finally
        {
            await _events.EndAsync(all).ConfigureAwait(false);
        }
    }

    private async Task FollowRecordAsync()
    {
        VmRecord? told = null;
        var operations = new Dictionary<string, bool>(StringComparer.Ordinal);
        long decided = 0;
        for (IFleetMessage? answer = _first; answer is null or VmHistory; answer = await AskRecordAsync().ConfigureAwait(false))
        {
            if (answer is VmHistory history)
            {
                _at = history.Record.Node;
                if (told == null || !IsSame(told, history.Record))
                {
                    told = history.Record;
                    await _events.SendAsync("vm", told).ConfigureAwait(false);
                }

                foreach (VmOperation operation in history.Operations)
                {
                    if (!operations.TryGetValue(operation.Id, out bool isDone) || isDone != operation.IsDone)
                    {
                        operations[operation.Id] = operation.IsDone;
                        await _events.SendAsync("operation", operation).ConfigureAwait(false);
                    }
                }

                foreach (VmScaled decision in history.Decisions.Where(d => d.At > decided))
                {
                    decided = decision.At;
                    await _events.SendAsync("scaling", decision).ConfigureAwait(false);
                }
            }

            await Task.Delay(s_record, _events.Gone).ConfigureAwait(false);
        }
    }

    // What the node has seen may change without a change of the record's version.
    private static bool IsSame(VmRecord one, VmRecord other) => one.Version == other.Version && one.State == other.State
        && one.Detail == other.Detail && one.EnabledCpus == other.EnabledCpus;

    // Null while the record does not answer, as when it moves to another node.
    private async Task<IFleetMessage?> AskRecordAsync()
    {
        try
        {
            return await _vms.AskAsync(new GetVmHistory(_vm), _events.Gone).ConfigureAwait(false);
        }
        catch (AskTimeoutException)
        {
            return null;
        }
    }

    private async Task LookAsync()
    {
        (string at, long last, VmView? told) = (_at, 0L, null);
        while (true)
        {
            if (at != _at)
            {
                (at, last) = (_at, 0);
            }

            if (await _vms.AskAsync<VmView>(at, new GetVmView(_vm, last), _events.Gone).ConfigureAwait(false) is { } view)
            {
                last = view.Last;
                if (told == null || view.Happened.Length > 0 || view.At - told.At >= TimesMilliseconds || !HasSameStates(view, told))
                {
                    told = view;
                    await _events.SendAsync("view", view).ConfigureAwait(false);
                }
            }

            await Task.Delay(s_look + (s_lookOfCpu * (told?.Cpus.Length ?? 0)), _events.Gone).ConfigureAwait(false);
        }
    }

    private static bool HasSameStates(VmView one, VmView other) => one.Cpus.AsSpan().SequenceEqual(other.Cpus)
        && one.Migration?.Status == other.Migration?.Status && one.Migration?.Pass == other.Migration?.Pass;

    private async Task FollowConsoleAsync()
    {
        (string at, string line, long position) = (_at, "", 0L);
        while (true)
        {
            at = _at;
            ConsoleOutput? output = await _vms.AskAsync<ConsoleOutput>(at, new ReadConsole(_vm, line, position), _events.Gone)
                .ConfigureAwait(false);
            if (output is { Line.Length: > 0 })
            {
                (line, position) = (output.Line, output.Position);
            }

            if (output is { Bytes.Length: > 0 })
            {
                await _events.SendAsync("console", new ConsoleBytes(output.Bytes)).ConfigureAwait(false);
            }
            else
            {
                // A node that does not have the VM answers at once.
                await Task.Delay(s_look, _events.Gone).ConfigureAwait(false);
            }
        }
    }
}
