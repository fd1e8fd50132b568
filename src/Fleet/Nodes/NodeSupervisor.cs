using Akka.Actor;
using Serilog;
using Vmm.Actors.Hosting;
using Vmm.Actors.Journals;
using Vmm.Fleet.Messages;
using Vmm.Management.Text;

namespace Vmm.Fleet.Nodes;

/// <summary>
/// The VMs of one machine: an agent for each folder, made at the start and when a VM comes. It takes <see cref="IVmRequest"/>, answers
/// queries from what the agents tell, and publishes that.
/// </summary>
public sealed class NodeSupervisor : MessageActor
{
    // A folder that is being removed has another name first, which no VM can have.
    internal const string RemovedPrefix = ".";

    private readonly NodeSettings _settings;
    private readonly Dictionary<string, IActorRef> _agents = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, VmReport> _reports = new(StringComparer.Ordinal);

    // Who waits for the first report of a VM.
    private readonly Dictionary<string, List<IActorRef>> _askers = new(StringComparer.Ordinal);

    public NodeSupervisor(NodeSettings settings)
    {
        _settings = settings;
        Receive<IVmRequest>(Take);
        Receive<VmReport>(report => _agents.ContainsKey(report.Vm), report =>
        {
            _reports[report.Vm] = report;
            if (_askers.Remove(report.Vm, out List<IActorRef>? askers))
            {
                askers.ForEach(asker => asker.Tell(report));
            }

            Context.System.EventStream.Publish(report);
        });
        Receive<VmReport>(_ => { });
        Receive<IVmQuery>(query =>
        {
            if (_agents.TryGetValue(query.Vm, out IActorRef? agent))
            {
                agent.Forward(query);
            }
            else if (AnswerWithout(query) is { } answer)
            {
                Sender.Tell(answer);
            }
        });
        Receive<GetVmReport>(Tell);
        Receive<GetNodeReport>(_ => Sender.Tell(new NodeReport([.. _reports.Values])));
        Receive<GetNodeStatus>(_ => Sender.Tell(Status()));
        Receive<SetNodeTakesVms>(set =>
        {
            try
            {
                _settings.IsDrained = !set.TakesVms;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // The answer says how it is.
                Log.Error("whether the node takes VMs cannot be kept: {Reason}", SystemError.Describe(e));
            }

            Sender.Tell(Status());
        });
        Receive<VmRemoved>(removed =>
        {
            _agents.Remove(removed.Vm);
            _reports.Remove(removed.Vm);
        });
    }

    // An agent that has only just begun does not know of its VM yet.
    private void Tell(GetVmReport get)
    {
        if (_reports.TryGetValue(get.Vm, out VmReport? report))
        {
            Sender.Tell(report);
        }
        else if (!_agents.ContainsKey(get.Vm))
        {
            Sender.Tell(new VmReport(get.Vm, ProcessState.Stopped, "", 0, 0));
        }
        else if (!_askers.TryGetValue(get.Vm, out List<IActorRef>? askers))
        {
            _askers[get.Vm] = [Sender];
        }
        else if (!askers.Contains(Sender))
        {
            askers.Add(Sender);
        }
    }

    /// <summary>An agent has removed its VM. What comes for a VM of that name from here on is for another one.</summary>
    internal sealed record VmRemoved(string Vm);

    protected override void PreStart()
    {
        DurableFolder.Make(_settings.Vms);
        _settings.User?.Share(_settings.Folder);
        _settings.User?.Share(_settings.Vms);
        foreach (string folder in Directory.EnumerateDirectories(_settings.Vms))
        {
            string name = Path.GetFileName(folder);
            if (name.StartsWith(RemovedPrefix, StringComparison.Ordinal))
            {
                RemoveRest(folder);
            }
            else if (FleetNames.IsVm(name))
            {
                MakeAgent(name);
            }
            else
            {
                Log.Warning("{Folder} is no folder of a VM: a name is {Rule}", folder, FleetNames.VmRule);
            }
        }
    }

    // The answer of a node that does not have the VM.
    private static IFleetMessage? AnswerWithout(IVmQuery query) => query switch
    {
        GetVmTimes => new VmTimes(query.Vm, [], [], []),
        GetVmView => VmSight.Empty(query.Vm),
        ReadConsole => new ConsoleOutput(query.Vm, "", 0, []),
        WriteConsole => new ConsoleWritten(query.Vm, "the VM does not run"),
        _ => null,
    };

    // The node goes on with its VMs when a rest of another one cannot be removed.
    private static void RemoveRest(string folder)
    {
        try
        {
            Directory.Delete(folder, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Log.Warning("{Folder} of a VM that was removed: {Reason}", folder, SystemError.Describe(e));
        }
    }

    private NodeStatus Status() => new(
        _settings.Name, _settings.MemoryBytes, Environment.ProcessorCount, [.. _settings.Labels], !_settings.IsDrained,
        _reports.Values.Count(vm => vm.Process != 0));

    private void Take(IVmRequest request)
    {
        if (_agents.TryGetValue(request.Vm, out IActorRef? agent))
        {
            agent.Forward(request);
            return;
        }

        (RequestOutcome outcome, string detail) = request switch
        {
            _ when !FleetNames.IsVm(request.Vm) => (RequestOutcome.Rejected, $"the name of a VM is {FleetNames.VmRule}"),
            RunVm or RestoreVm or ReceiveVm => (RequestOutcome.Done, ""),

            // What is asked for is so.
            EndVm or RemoveVm => (RequestOutcome.Done, "there is no such VM here"),
            _ => (RequestOutcome.Failed, "there is no such VM here"),
        };
        if (outcome == RequestOutcome.Done && request is not (EndVm or RemoveVm))
        {
            MakeAgent(request.Vm).Forward(request);
        }
        else
        {
            Sender.Tell(new RequestEnded(request.Vm, request.Id, outcome, detail, []));
        }
    }

    private IActorRef MakeAgent(string vm)
    {
        (NodeSettings settings, VmFolder folder) = (_settings, _settings.FolderOf(vm));
        return _agents[vm] = Context.ActorOf(ActorProps.Of(() => new VmAgent(settings, folder)));
    }
}
