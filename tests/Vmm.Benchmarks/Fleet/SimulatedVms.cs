using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Nodes;

namespace Vmm.Benchmarks.Fleet;

/// <summary>
/// The VMs of a node that are not there: what is asked for is done at once. Which of them run is in a file, so that the next run of the
/// node finds them again, as it does processes.
/// </summary>
internal sealed class SimulatedVms : MessageActor, IWithTimers
{
    private const string File = "simulated";
    private const long Memory = 1L << 42;
    private const int Cores = 1000;

    // No process has this id: the kernel's are smaller (proc(5), pid_max).
    private const int NoProcess = 1 << 23;

    // A VM that comes from another node is here a moment after.
    private static readonly TimeSpan s_move = TimeSpan.FromMilliseconds(100);

    private readonly NodeSettings _settings;
    private readonly string _file;
    private readonly SortedDictionary<string, VmReport> _vms = new(StringComparer.Ordinal);
    private bool _isDrained;

    private sealed record Arrived(string Vm, int Cpus);

    private SimulatedVms(NodeSettings settings)
    {
        _settings = settings;
        Directory.CreateDirectory(settings.Folder);
        _file = PathOf(settings.Folder);
        foreach (string vm in Running(settings.Folder))
        {
            _vms[vm] = Report(vm, ProcessState.Running, 1);
        }

        Receive<IVmRequest>(Take);
        Receive<Arrived>(arrived => Set(arrived.Vm, ProcessState.Running, arrived.Cpus));
        Receive<GetVmTimes>(get => Sender.Tell(new VmTimes(get.Vm, [], [], [])));
        Receive<GetVmReport>(get => Sender.Tell(_vms.GetValueOrDefault(get.Vm) ?? Report(get.Vm, ProcessState.Stopped, 0)));
        Receive<GetNodeReport>(_ => Sender.Tell(new NodeReport([.. _vms.Values])));
        Receive<GetNodeStatus>(_ => Sender.Tell(Status()));
        Receive<SetNodeTakesVms>(set =>
        {
            _isDrained = !set.TakesVms;
            Sender.Tell(Status());
        });
    }

    public static Props Of(NodeSettings settings) => ActorProps.Of(() => new SimulatedVms(settings));

    /// <summary>The VMs that run at a node.</summary>
    public static IReadOnlySet<string> Running(string folder)
    {
        var running = new HashSet<string>(StringComparer.Ordinal);
        foreach (string line in System.IO.File.Exists(PathOf(folder)) ? System.IO.File.ReadLines(PathOf(folder)) : [])
        {
            _ = line[0] == '+' ? running.Add(line[1..]) : running.Remove(line[1..]);
        }

        return running;
    }

    public ITimerScheduler Timers { get; set; } = null!;

    private static string PathOf(string folder) => Path.Combine(folder, File);

    private static VmReport Report(string vm, ProcessState state, int cpus) => new(vm, state, "", cpus == 0 ? 0 : NoProcess, cpus);

    private NodeStatus Status() => new(_settings.Name, Memory, Cores, [], !_isDrained, _vms.Count);

    private void Take(IVmRequest request)
    {
        string detail = "";
        switch (request)
        {
            case RunVm run:
                Set(run.Vm, ProcessState.Running, run.Spec.Cpus);
                break;
            case ReceiveVm receive:
                Set(receive.Vm, ProcessState.Receiving, receive.Spec.Cpus);
                Timers.StartSingleTimer(receive.Vm, new Arrived(receive.Vm, receive.Spec.Cpus), s_move);
                detail = "nowhere";
                break;
            case EndVm or SendVm or RemoveVm:
                Set(request.Vm, ProcessState.Stopped, 0);
                break;
        }

        Sender.Tell(new RequestEnded(request.Vm, request.Id, RequestOutcome.Done, detail, []));
    }

    private void Set(string vm, ProcessState state, int cpus)
    {
        VmReport report = Report(vm, state, cpus);
        if (_vms.GetValueOrDefault(vm) == report)
        {
            return;
        }

        if (state == ProcessState.Stopped)
        {
            _vms.Remove(vm);
        }
        else
        {
            _vms[vm] = report;
        }

        if (state != ProcessState.Receiving)
        {
            System.IO.File.AppendAllText(_file, $"{(state == ProcessState.Running ? '+' : '-')}{vm}\n");
        }

        Context.System.EventStream.Publish(report);
    }
}
