using Akka.Actor;
using Serilog;
using Vmm.Actors.Hosting;
using Vmm.Actors.Journals;
using Vmm.Actors.Protocol;
using Vmm.Fleet.Fencing;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Telemetry;

namespace Vmm.Fleet.Nodes;

/// <summary>
/// Owns one VM of this machine: its folder, its process, its requests. Two requests may be under way at once: one about the process as a
/// whole, and one about its CPUs; others wait for those in the order in which they came. A stop ends what is under way. The supervisor
/// is told of each change as <see cref="VmReport"/>.
/// </summary>
internal sealed class VmAgent : MessageActor, IWithTimers
{
    // The requests that wait for others; more are rejected.
    private const int MostWaiting = 64;

    // How long after a failed write of an end it is tried again.
    private static readonly TimeSpan s_writeAgain = TimeSpan.FromSeconds(1);

    private readonly VmFolder _folder;
    private readonly NodeLease? _lease;
    private readonly LifecycleOperations _operations;
    private readonly Lane _process = new();
    private readonly Lane _cpus = new();
    private readonly Dictionary<string, List<IActorRef>> _askers = new(StringComparer.Ordinal);
    private readonly OpenSpans _spans = new();
    private readonly EndedMeters _meters;
    private readonly VmSight _sight;
    private readonly IActorRef _console;

    // Requests that were under way when the node ended, and that are not carried out before they are asked for again.
    private readonly HashSet<string> _dormant = new(StringComparer.Ordinal);
    private RequestLog? _log;

    // Why the requests cannot be kept; null while they can.
    private string? _problem;
    private VmInstance? _vm;

    // How the last process ended, or that there was none.
    private (ProcessState State, string Detail) _end = (ProcessState.Stopped, "");

    // The last process that was there, and the one whose end a request has told of: its end and that of the request come in any order.
    private VmProcess? _lastProcess;
    private VmProcess? _explained;
    private VmStatus _status = new(VmRunState.Prelaunch, "");

    // Answers may come in another order than they were given, also beside events. Events tell every change, so the last of them counts.
    private bool _hasHeardStatus;
    private int _looks;
    private int _newestCpus;
    private int _enabledCpus;

    // Why the kernel has killed the last process; null if it has not, or if that was not seen yet.
    private string? _killed;

    // The guest has powered off, or a monitor has ended the VM: the process ends of its own accord.
    private bool _shutsDown;
    private VmReport? _reported;

    // The process of an earlier run of the node has been looked for.
    private bool _hasLooked;

    public VmAgent(NodeSettings settings, VmFolder folder)
    {
        IActorRef self = Self;
        _folder = folder;
        _meters = new EndedMeters(folder);
        _sight = new VmSight(folder.Vm);
        _console = Context.ActorOf(ActorProps.Of(() => new ConsoleActor(folder)), "console");
        _lease = settings.Lease;
        _operations = new LifecycleOperations(settings, folder, happened => self.Tell(new Happened(happened)));
        Receive<IVmRequest>(Take);
        Receive<OperationEnded>(End);
        Receive<Finding>(_ => Enqueue(_process, null));
        Receive<LinkLost>(lost => lost.Vm == _vm, _ => SetVm(_vm));
        Receive<LinkLost>(_ => { });
        Receive<ProcessEnded>(EndProcess);
        Receive<Happened>(Hear);
        Receive<GetVmTimes>(_ => TellTimes());
        Receive<GetVmView>(get => _sight.Look(_vm, get, Sender, Self));
        Receive<VmSight.Looked>(_sight.Answer);
        Receive<ReadConsole>(_console.Forward);
        Receive<WriteConsole>(_ => _vm != null, _console.Forward);
        Receive<WriteConsole>(_ => Sender.Tell(new ConsoleWritten(_folder.Vm, "the VM does not run")));
        Receive<ForgetMeter>(forget => _meters.Forget(forget.Meter));
        Receive<Seen>(seen => seen.Vm == _vm, See);
        Receive<Seen>(_ => { });
    }

    private sealed record Finding;

    private sealed record Happened(IProtocolMessage Message);

    private sealed record LinkLost(VmInstance Vm);

    private sealed record ProcessEnded(VmProcess Process, int ExitCode);

    private sealed record Seen(VmInstance Vm, int Look, IProtocolMessage Answer);

    // Request is null for the look for a process. A request that was not begun has a lane of its own.
    private sealed record OperationEnded(Lane Lane, IVmRequest? Request, OperationResult Result, VmInstance? Vm);

    /// <summary>Operations that exclude each other, and the one that is under way. It is the actor's.</summary>
    private sealed class Lane
    {
        public Queue<IVmRequest?> Waiting { get; } = [];

        public CancellationTokenSource? Running { get; set; }

        public IVmRequest? Request { get; set; }
    }

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void PreStart()
    {
        try
        {
            DurableFolder.Make(_folder.Root);
            _log = RequestLog.Read(_folder.Requests);
            _meters.Load();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Log.Error("{Vm}: {Reason}", _folder.Vm, e.Message);
            _problem = e.Message;
            _end = (ProcessState.Failed, e.Message);
        }

        Enqueue(_process, null);
        foreach (IVmRequest request in _log?.Open ?? [])
        {
            // The VM may be another node's by now: it is started if whoever asked asks again.
            if (_lease != null && request is RunVm or RestoreVm or ReceiveVm)
            {
                _dormant.Add(request.Id);
            }
            else
            {
                Enqueue(LaneOf(request), request);
            }
        }
    }

    // The VM's process goes on; another agent finds it.
    protected override void PostStop()
    {
        _ = _vm?.Client.DisposeAsync().AsTask();
        _log?.Dispose();
    }

    private Lane LaneOf(IVmRequest request) => request is ResizeVm or ChangeCpu ? _cpus : _process;

    private void Take(IVmRequest request)
    {
        if (_log?.EndOf(request.Id) is { } known)
        {
            Sender.Tell(known);
            return;
        }

        if (_log == null || !_log.IsOpen(request.Id))
        {
            string? refusal = _problem ?? _folder.Problem
                ?? (!FleetNames.IsAgentRequest(request.Id) ? $"the id of a request is {FleetNames.RequestRule}"
                    : LaneOf(request).Waiting.Count >= MostWaiting ? $"{MostWaiting} requests wait already" : null);
            try
            {
                if (refusal == null)
                {
                    _log!.Begin(request);
                }
            }
            catch (IOException e)
            {
                refusal = e.Message;
            }

            if (refusal != null)
            {
                Sender.Tell(new RequestEnded(request.Vm, request.Id, RequestOutcome.Rejected, refusal, []));
                return;
            }

            if (request is EndVm)
            {
                ClearFor(request.Id);
            }

            Enqueue(LaneOf(request), request);
        }

        if (_dormant.Remove(request.Id))
        {
            Enqueue(LaneOf(request), request);
        }

        if (!_askers.TryGetValue(request.Id, out List<IActorRef>? askers))
        {
            _askers[request.Id] = askers = [];
        }

        if (!askers.Contains(Sender))
        {
            askers.Add(Sender);
        }
    }

    // What waits does not begin, and what is under way ends, but for another stop.
    private void ClearFor(string stop)
    {
        IVmRequest[] waiting = [.. _process.Waiting.OfType<IVmRequest>().Where(r => r is not EndVm)];
        IVmRequest?[] stays = [.. _process.Waiting.Where(r => r is null or EndVm)];
        _process.Waiting.Clear();
        Array.ForEach(stays, _process.Waiting.Enqueue);
        foreach (IVmRequest request in waiting)
        {
            Self.Tell(new OperationEnded(
                new Lane(), request, OperationResult.Of(RequestOutcome.Cancelled, $"the stop '{stop}' came first"), _vm));
        }

        if (_process.Request is not EndVm)
        {
            _process.Running?.Cancel();
        }
    }

    private void Enqueue(Lane lane, IVmRequest? request)
    {
        if (request != null)
        {
            _spans.Begin(request.Id, $"agent: {request.GetType().Name}", request.Trace, request.Vm);
        }

        lane.Waiting.Enqueue(request);
        Pump();
    }

    private void Pump()
    {
        Pump(_process);

        if (_hasLooked)
        {
            Pump(_cpus);
        }
    }

    private void Pump(Lane lane)
    {
        if (lane.Running != null || !lane.Waiting.TryDequeue(out IVmRequest? request))
        {
            return;
        }

        lane.Request = request;
        lane.Running = new CancellationTokenSource();
        (VmInstance? vm, CancellationToken stop) = (_vm, lane.Running.Token);
        string trace = request == null ? "" : _spans.TraceOf(request.Id);
        IActorRef self = Self;
        Task.Run(async () =>
        {
            (OperationResult result, VmInstance? after) = await RunAsync(request, vm, trace, stop).ConfigureAwait(false);
            self.Tell(new OperationEnded(lane, request, result, after));
        });
        Report();
    }

    private async Task<(OperationResult Result, VmInstance? Vm)> RunAsync(
        IVmRequest? request, VmInstance? vm, string trace, CancellationToken stop)
    {
        try
        {
            return request switch
            {
                null => (OperationResult.Done(), vm ?? await _operations.FindAsync(stop).ConfigureAwait(false)),
                RunVm start => await _operations.StartAsync(vm, start.Spec, start.FromSnapshot, stop).ConfigureAwait(false),
                EndVm end => await _operations.StopAsync(vm, TimeSpan.FromSeconds(end.PowerDownSeconds)).ConfigureAwait(false),
                SaveVm save => await LifecycleOperations.SaveAsync(vm, save.Tag, stop).ConfigureAwait(false),
                RestoreVm restore => await _operations.RestoreAsync(vm, restore.Spec, restore.Tag, stop).ConfigureAwait(false),
                ReceiveVm receive => await _operations.ReceiveAsync(vm, receive, stop).ConfigureAwait(false),
                SendVm send => await _operations.SendAsync(vm, send.Address, stop).ConfigureAwait(false),
                RemoveVm => (_operations.Remove(), vm),
                _ when vm == null => (LifecycleOperations.NotRunning, vm),
                ResizeVm resize => (await CpuOperations.ResizeAsync(vm, resize.Cpus, trace, stop).ConfigureAwait(false), vm),
                ChangeCpu change =>
                    (await CpuOperations.ChangeAsync(vm, change.Change, change.Cpu, trace, stop).ConfigureAwait(false), vm),
                _ => throw new InvalidOperationException($"{request.GetType().Name} is not known"),
            };
        }
        catch (OperationCanceledException)
        {
            return (OperationResult.Of(RequestOutcome.Cancelled, "a stop came first"), vm);
        }
        catch (Exception e) when (e is IOException or TimeoutException or UnauthorizedAccessException)
        {
            return (OperationResult.Of(RequestOutcome.Failed, e.Message), vm);
        }
        catch (Exception e)
        {
            Log.Error(e, "{Vm}: {Request} failed", _folder.Vm, request);
            return (OperationResult.Of(RequestOutcome.Failed, $"an internal error, which the log describes: {e.GetType().Name}"), vm);
        }
    }

    private void End(OperationEnded ended)
    {
        try
        {
            // The log of a VM that is removed is gone with it.
            if (ended.Request != null && ended is not { Request: RemoveVm, Result.Outcome: RequestOutcome.Done })
            {
                _log!.End(EndOf(ended.Request, ended.Result));
            }
        }
        catch (IOException e)
        {
            // Nobody is told before it is kept.
            Log.Warning("{Vm}: {Reason}; it is tried again", _folder.Vm, e.Message);
            Timers.StartSingleTimer(ended, ended, s_writeAgain);
            return;
        }

        ended.Lane.Running?.Dispose();
        (ended.Lane.Running, ended.Lane.Request) = (null, null);
        if (ended.Lane == _process)
        {
            if (ended.Request is RunVm or RestoreVm or ReceiveVm && ended.Vm == null)
            {
                _end = (ProcessState.Failed, ended.Result.Detail);
            }
            else if (ended.Request is EndVm or SendVm && ended.Vm == null)
            {
                if (ended is { Request: SendVm, Result.Outcome: RequestOutcome.Done })
                {
                    _meters.Drop();
                }

                _end = (ProcessState.Stopped, ended.Result.Detail);
                _explained = _lastProcess;
            }

            _hasLooked = true;
            SetVm(ended.Vm);
            TakeTimes();
        }

        bool isRemoved = ended is { Request: RemoveVm, Result.Outcome: RequestOutcome.Done };
        if (isRemoved)
        {
            // Before whoever asked for it knows, and asks for another VM of that name.
            Context.Parent.Tell(new NodeSupervisor.VmRemoved(_folder.Vm));
        }

        if (ended.Request != null)
        {
            _spans.End(ended.Request.Id, ended.Result.Outcome, ended.Result.Detail);
            Tell(EndOf(ended.Request, ended.Result));
        }

        if (isRemoved)
        {
            Context.Stop(Self);
            return;
        }

        Pump();
        Report();
    }

    private static RequestEnded EndOf(IVmRequest request, OperationResult result) =>
        new(request.Vm, request.Id, result.Outcome, result.Detail, result.Cpus, result.EnabledCpus);

    private void Tell(RequestEnded end)
    {
        if (_askers.Remove(end.Id, out List<IActorRef>? askers))
        {
            askers.ForEach(asker => asker.Tell(end));
        }
    }

    // What there is now. A process whose connection was lost is looked for again.
    private void SetVm(VmInstance? vm)
    {
        bool isLost = vm?.Client.Completion.IsCompleted == true;
        if (isLost)
        {
            _ = vm!.Client.DisposeAsync().AsTask();
        }

        VmInstance? before = _vm;
        _vm = isLost ? null : vm;
        if (_vm != null && _vm != before)
        {
            _shutsDown = false;
            _killed = null;
            _hasHeardStatus = false;
            _lastProcess = _vm.Process;
            Watch(_vm);
            Look(_vm, new GetVmStatus());
            Look(_vm, new GetCpusPowerState());
        }

        if (isLost)
        {
            Enqueue(_process, null);
        }

        Report();
    }

    private void Watch(VmInstance vm)
    {
        IActorRef self = Self;
        vm.Client.Completion.ContinueWith(
            _ => self.Tell(new LinkLost(vm)), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        vm.Process.Ended.ContinueWith(
            ended => self.Tell(new ProcessEnded(vm.Process, ended.Result)),
            CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }

    private void Look(VmInstance vm, IProtocolMessage query)
    {
        (IActorRef self, int look) = (Self, ++_looks);
        vm.AskAsync(query, CancellationToken.None).ContinueWith(
            answer => self.Tell(new Seen(vm, look, answer.Result)),
            CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);
    }

    private void See(Seen seen)
    {
        switch (seen.Answer)
        {
            case VmStatus status when !_hasHeardStatus:
                _status = status;
                break;
            case CpusPowerState cpus when seen.Look > _newestCpus:
                _newestCpus = seen.Look;
                _enabledCpus = CpuOperations.Enabled(cpus);
                _folder.Cgroup?.Weigh(_enabledCpus);
                break;
        }

        Report();
    }

    private void Hear(Happened happened)
    {
        _sight.Add(happened.Message);
        switch (happened.Message)
        {
            case VmStatus status:
                (_status, _hasHeardStatus) = (status, true);
                Report();
                break;
            case VmShutdown:
                _shutsDown = true;
                break;
            case CpuStepTaken step:
                FleetTraces.Add(step);
                break;
            case HotplugOutcome when _vm != null:
                Look(_vm, new GetCpusPowerState());
                break;
        }
    }

    private void EndProcess(ProcessEnded ended)
    {
        if (ended.Process != _explained && _process.Request is not (EndVm or SendVm))
        {
            _end = ended.ExitCode == 0 || (ended.ExitCode == VmProcess.UnknownExit && _shutsDown)
                ? (ProcessState.PoweredOff, "the guest powered off, or a monitor ended the VM")
                : (ProcessState.Failed, _killed ?? _folder.Cgroup?.WhyKilled() ?? (ended.ExitCode == VmProcess.UnknownExit
                    ? $"the process has ended, and its exit code is not known: {_folder.LastLine()}"
                    : $"the process has ended with exit code {ended.ExitCode}: {_folder.LastLine()}"));
        }

        if (_vm?.Process == ended.Process)
        {
            _ = _vm.Client.DisposeAsync().AsTask();
            _vm = null;
        }

        // The end of a migration says whether the times are this node's.
        if (_process.Request is not SendVm)
        {
            TakeTimes();
        }

        Report();
    }

    private void TakeTimes()
    {
        if (_vm == null && VmProcess.Find(_folder) == null)
        {
            _meters.Take();
            if (_process.Running == null)
            {
                _killed ??= _folder.Cgroup?.WhyKilled();
                _folder.Cgroup?.Remove();
            }
        }
    }

    private void TellTimes()
    {
        (VmInstance? vm, IActorRef asker, VmMeter[] ended) = (_vm, Sender, [.. _meters.All]);
        if (!_hasLooked)
        {
            return;
        }

        if (vm == null)
        {
            asker.Tell(new VmTimes(_folder.Vm, [], [], ended));
            return;
        }

        string name = _folder.Vm;
        Task.Run(async () =>
        {
            if (await vm.AskAsync(new GetVcpuTimes(), CancellationToken.None).ConfigureAwait(false) is VcpuTimes times
                && await vm.AskAsync(new GetCpusPowerState(), CancellationToken.None).ConfigureAwait(false) is CpusPowerState cpus)
            {
                long now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
                asker.Tell(new VmTimes(
                    name, [new VmMeter(times.Meter, now, times.RunNs, times.BusyNs, times.EnabledNs)],
                    Array.ConvertAll(cpus.Admin, a => a == CpuAdminState.Enabled), ended));
            }
        });
    }

    private void Report()
    {
        if (!_hasLooked)
        {
            return;
        }

        VmReport report = _vm != null ? VmReport.Of(_folder.Vm, _status, _vm.Process.Identity.Id, _enabledCpus)
            : _process is { Running: not null, Request: RunVm or RestoreVm or ReceiveVm }
                ? new VmReport(_folder.Vm, ProcessState.Starting, "", 0, 0)
            : new VmReport(_folder.Vm, _end.State, _end.Detail, 0, 0);
        if (report != _reported)
        {
            _reported = report;
            Context.Parent.Tell(report);
        }
    }
}
