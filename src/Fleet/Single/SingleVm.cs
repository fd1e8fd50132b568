using Vmm.Actors.Protocol;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Nodes;
using Vmm.Fleet.Records;
using Vmm.Management.Commands;

namespace Vmm.Fleet.Single;

/// <summary>
/// The VM of this process, which is in no fleet: it answers as its record and its node would. Requests and their ends are kept in memory,
/// as long as the process is there. Any thread.
/// </summary>
public sealed class SingleVm : IVms, IVmLink
{
    private const int Kept = 200;
    private const int MostOpen = 32;

    // The bytes of one request that are typed: the guest may not read them at once.
    private const int MostTyped = 16 << 10;

    // How long a reader of the serial line waits for output.
    private static readonly TimeSpan s_reader = TimeSpan.FromSeconds(5);

    private readonly string _name;
    private readonly VmSpec _spec;
    private readonly MonitorVm _vm;
    private readonly Action<byte[]> _type;

    private readonly TaskCompletionSource _off = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Over all that follows.
    private readonly Lock _lock = new();
    private readonly List<VmOperation> _operations = [];
    private readonly VmSight _sight;
    private readonly SerialHistory _serial = new();
    private Action<IFleetMessage>? _listeners;
    private TaskCompletionSource _written = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _version = 1;

    // One operation about the process and one about CPUs go on at once, as in a fleet: the last of each, which the next one waits for.
    private Task _process = Task.CompletedTask, _cpus = Task.CompletedTask;

    /// <param name="name">By which it is asked for.</param>
    /// <param name="spec">What it is made of.</param>
    /// <param name="type">Takes what is typed at the serial line.</param>
    public SingleVm(string name, VmSpec spec, MonitorVm vm, Action<byte[]> type) =>
        (_name, _spec, _vm, _type, _sight) = (name, spec, vm, type, new VmSight(name));

    bool IVms.IsUp => true;

    /// <summary>Hears what the VM publishes.</summary>
    public void Publish(IProtocolMessage happened)
    {
        if (happened is VmStatus { RunState: VmRunState.Shutdown })
        {
            _off.TrySetResult();
        }

        Action<IFleetMessage>? listeners;
        lock (_lock)
        {
            _sight.Add(happened);
            listeners = _listeners;
        }

        if (listeners != null && happened is VmStatus or HotplugOutcome)
        {
            Task.Run(async () => listeners(await ReportAsync().ConfigureAwait(false)));
        }
    }

    /// <summary>Takes what the guest has written to its serial line.</summary>
    public void AddSerial(ReadOnlyMemory<byte> bytes)
    {
        TaskCompletionSource written;
        lock (_lock)
        {
            _serial.Add(bytes.Span);
            written = _written;
            _written = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        written.SetResult();
    }

    Task<IProtocolMessage> IVmLink.AskAsync(IProtocolMessage request, CancellationToken stop) => _vm.AskEnd(request).WaitAsync(stop);

    async Task<IFleetMessage> IVms.AskAsync(IVmRecordMessage message, CancellationToken stop) => message switch
    {
        _ when message.Vm != _name => NotFound($"there is no VM '{message.Vm}': this one is '{_name}'"),
        GetVm => await RecordAsync().ConfigureAwait(false),
        GetOperation get => Find(get.Id) ?? (IFleetMessage)NotFound($"VM '{_name}' has no operation '{get.Id}'"),
        GetVmHistory => await HistoryAsync().ConfigureAwait(false),
        CommandVm command => await BeginAsync(command).ConfigureAwait(false),
        _ => throw new ArgumentException($"{message.GetType().Name} is not for a VM by itself", nameof(message)),
    };

    async Task<T?> IVms.AskAsync<T>(string node, IVmQuery query, CancellationToken stop)
        where T : class
    {
        IFleetMessage answer = query switch
        {
            GetVmView get => await LookAsync(get).ConfigureAwait(false),
            ReadConsole read => await ReadAsync(read, stop).ConfigureAwait(false),
            WriteConsole write => Write(write),
            _ => throw new ArgumentException($"{query.GetType().Name} is not for a VM by itself", nameof(query)),
        };
        return (T)answer;
    }

    Task<IReadOnlyList<string>> IVms.ListAsync() => Task.FromResult<IReadOnlyList<string>>([_name]);

    async Task<NodeReport> IVms.ReportAsync(CancellationToken stop) => new([await ReportAsync().ConfigureAwait(false)]);

    IDisposable IVms.Subscribe(Action<IFleetMessage> happened)
    {
        lock (_lock)
        {
            _listeners += happened;
        }

        return new Subscription(() =>
        {
            lock (_lock)
            {
                _listeners -= happened;
            }
        });
    }

    IDisposable IVms.Follow(Action<IFleetMessage> happened)
    {
        void See(VmReport report) => happened(new VmSeen(_name, Environment.MachineName, report));
        IDisposable subscription = ((IVms)this).Subscribe(message =>
        {
            if (message is VmReport report)
            {
                See(report);
            }
            else
            {
                happened(message);
            }
        });
        _ = TellNowAsync();
        return subscription;

        async Task TellNowAsync() => See(await ReportAsync().ConfigureAwait(false));
    }

    private static long Now => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

    private VmRejected NotFound(string reason) => new(_name, VmRejectionCode.NotFound, reason);

    private VmOperation? Find(string id)
    {
        lock (_lock)
        {
            return _operations.Find(o => o.Id == id);
        }
    }

    private async Task<VmReport> ReportAsync()
    {
        IProtocolMessage status = await _vm.AskEnd(new GetVmStatus()).ConfigureAwait(false);
        IProtocolMessage cpus = await _vm.AskEnd(new GetCpusPowerState()).ConfigureAwait(false);
        return status is VmStatus now
            ? VmReport.Of(_name, now, Environment.ProcessId, cpus is CpusPowerState state ? CpuOperations.Enabled(state) : 0)
            : new VmReport(_name, ProcessState.PoweredOff, OperationResult.ReasonOf(status), Environment.ProcessId, 0);
    }

    private async Task<VmRecord> RecordAsync()
    {
        VmReport report = await ReportAsync().ConfigureAwait(false);
        string[] snapshots = await _vm.AskEnd(new GetSnapshots()).ConfigureAwait(false) is SnapshotList list
            ? [.. list.Tags.Where((_, i) => list.Places[i].Length == 0)] : [];
        long version;
        lock (_lock)
        {
            version = _version;
        }

        return new VmRecord(
            _name, version, Environment.UserName, Environment.MachineName, FailurePolicy.Leave, _spec, IsWanted: true, report.State,
            report.Detail, report.EnabledCpus, snapshots);
    }

    private async Task<VmHistory> HistoryAsync()
    {
        VmRecord record = await RecordAsync().ConfigureAwait(false);
        lock (_lock)
        {
            return new VmHistory(record, [.. _operations], []);
        }
    }

    private async Task<VmView> LookAsync(GetVmView get)
    {
        VmView view = await VmSight.LookAsync(_name, this).ConfigureAwait(false);
        lock (_lock)
        {
            return _sight.Note(view, get.After);
        }
    }

    private async Task<ConsoleOutput> ReadAsync(ReadConsole read, CancellationToken stop)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
        patience.CancelAfter(s_reader);
        while (true)
        {
            ConsoleOutput output;
            Task written;
            lock (_lock)
            {
                output = _serial.After(read);
                written = _written.Task;
            }

            if (output.Bytes.Length > 0 || patience.IsCancellationRequested)
            {
                return output;
            }

            await written.WaitAsync(patience.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private ConsoleWritten Write(WriteConsole write)
    {
        if (write.Bytes.Length > MostTyped)
        {
            return new ConsoleWritten(_name, $"{write.Bytes.Length} bytes: give at most {MostTyped} at once");
        }

        _type(write.Bytes);
        return new ConsoleWritten(_name, "");
    }

    private async Task<IFleetMessage> BeginAsync(CommandVm command)
    {
        // Asked before the lock is taken; another request may come in between, as it may after the answer.
        string tag = command.Match.Length > 0 ? (await RecordAsync().ConfigureAwait(false)).Tag() : "";
        VmOperation operation;
        lock (_lock)
        {
            if (_operations.Find(o => o.Id == command.Id) is { } known)
            {
                return known;
            }

            string? problem = command.FindProblem(_spec.MaxCpus)
                ?? (command.Action is VmAction.Migrate or VmAction.Delete
                        ? $"{command.Action} is for a VM of a fleet: this one is by itself, and its monitor has 'migrate' and 'quit'"
                    : _operations.Count(o => !o.IsDone) >= MostOpen ? $"{MostOpen} operations of the VM are under way" : null);
            if (problem != null || command.Match != tag)
            {
                return problem != null ? new VmRejected(_name, VmRejectionCode.Invalid, problem)
                    : new VmRejected(_name, VmRejectionCode.Changed, "the VM has changed since");
            }

            operation = new VmOperation(
                _name, command.Id, command.Action, command.Number, command.Text, IsDone: false, default, "", [], Now, 0);
            if (_operations.Count >= Kept && _operations.FindIndex(o => o.IsDone) is >= 0 and int oldest)
            {
                _operations.RemoveAt(oldest);
            }

            _operations.Add(operation);
            _version++;
            switch (operation.Action)
            {
                case VmAction.Stop:
                    _ = RunAsync(Task.CompletedTask, operation);
                    break;
                case VmAction.Start or VmAction.Save or VmAction.Restore:
                    _process = RunAsync(_process, operation);
                    break;
                default:
                    _cpus = RunAsync(_cpus, operation);
                    break;
            }
        }

        return operation;
    }

    private async Task RunAsync(Task before, VmOperation operation)
    {
        // Not in the lock of the caller.
        await before.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        OperationResult result;
        try
        {
            result = await DoAsync(operation).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            Serilog.Log.Error(e, "{Action} failed", operation.Action);
            result = OperationResult.Of(RequestOutcome.Failed, "an internal error, which the log describes");
        }

        VmOperation ended = operation with
        {
            IsDone = true, Outcome = result.Outcome, Detail = result.Detail, Cpus = result.Cpus, EndedAt = Now,
        };
        Action<IFleetMessage>? listeners;
        lock (_lock)
        {
            _operations[_operations.FindIndex(o => o.Id == ended.Id)] = ended;
            _version++;
            listeners = _listeners;
        }

        listeners?.Invoke(ended);
        if (operation.Action == VmAction.Stop)
        {
            // Who waits for the end gets it: what is under way is answered before the process ends.
            _vm.Quit();
        }
    }

    private Task<OperationResult> DoAsync(VmOperation operation)
    {
        (int number, CancellationToken none) = (operation.Number, CancellationToken.None);
        return operation.Action switch
        {
            VmAction.Start => StartAsync(),
            VmAction.Stop => StopAsync(TimeSpan.FromSeconds(number)),
            VmAction.Save => LifecycleOperations.SaveAsync(this, operation.Text, none),
            VmAction.Restore => LifecycleOperations.LoadAsync(this, operation.Text, none),
            VmAction.Resize => CpuOperations.ResizeAsync(this, number, "", none),
            VmAction.Plug => CpuOperations.ChangeAsync(this, CpuChange.Plug, number, "", none),
            VmAction.Unplug => CpuOperations.ChangeAsync(this, CpuChange.Unplug, number, "", none),
            VmAction.Enable => CpuOperations.ChangeAsync(this, CpuChange.Enable, number, "", none),
            _ => CpuOperations.ChangeAsync(this, CpuChange.Disable, number, "", none),
        };
    }

    // The process is there: what there is to start is a guest that was paused, or that has not begun.
    private async Task<OperationResult> StartAsync()
    {
        if (await _vm.AskEnd(new GetVmStatus()).ConfigureAwait(false) is VmStatus { RunState: VmRunState.Running })
        {
            return OperationResult.Done("it runs already");
        }

        IProtocolMessage answer = await _vm.AskEnd(new ContinueVm()).ConfigureAwait(false);
        return answer is VmStatus { RunState: VmRunState.Running } ? OperationResult.Done() : OperationResult.Failed(answer);
    }

    private async Task<OperationResult> StopAsync(TimeSpan powerDown)
    {
        if (powerDown > TimeSpan.Zero && await _vm.AskEnd(new PressPowerButton()).ConfigureAwait(false) is not VmCommandRejected
            && await Task.WhenAny(_off.Task, Task.Delay(powerDown)).ConfigureAwait(false) == _off.Task)
        {
            return OperationResult.Done("the guest powered off");
        }

        return OperationResult.Done("the process was told to end");
    }

    private sealed class Subscription(Action end) : IDisposable
    {
        public void Dispose() => end();
    }
}
