using System.CommandLine;
using System.Net.Sockets;
using Akka.Actor;
using Akka.Configuration;
using Akka.Remote;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Host.Console;
using Vmm.Host.Options;
using Vmm.Management.Commands;
using Vmm.Management.Hmp;
using Vmm.Management.Text;

namespace Vmm.Host.Commands;

/// <summary>
/// The command <c>vmm remote [HOST:]PORT COMMAND…</c>: executes one monitor command in a VM that runs with <c>--remote</c>. It waits for
/// the outcome of a plug or unplug.
/// </summary>
public static class RemoteCommand
{
    // How long a request is waited for that may be carried out. If the VM ends, the connection tells that earlier.
    private static readonly TimeSpan s_requestPatience = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    private const string NoVmm = "what is there is no VM that runs with --remote, or it has ended";

    public static Command Create()
    {
        var endpoint = new Argument<string>("endpoint") { Description = $"{EndpointOption.Syntax} of vmm run --remote" };
        var words = new Argument<string[]>("command") { Description = "a monitor command, such as device_add, device_del or info cpus",
            Arity = ArgumentArity.OneOrMore };
        var wait = new Option<bool>(
            "--wait") { Description = "wait for how a plug, unplug, enabling or disabling ends, as it does without; the exit code tells: "
                + "0 done, 4 refused by the guest, 5 timed out, 6 cancelled" };
        var command = new Command("remote", "Send a monitor command to a VM that runs with --remote") { endpoint, words, wait };
        command.SetAction(parsed => Run(parsed.GetValue(endpoint)!, string.Join(' ', parsed.GetValue(words)!)));
        return command;
    }

    private static async Task<int> Run(string endpointText, string line)
    {
        EndpointOption endpoint;
        try
        {
            endpoint = EndpointOption.Parse(endpointText);
        }
        catch (OptionException e)
        {
            return await Complaint.Write(e.Message).ConfigureAwait(false);
        }

        if (line.Trim() is "quit" or "q")
        {
            return await Complaint.Write("quit is for the VM's own terminal; system_powerdown asks the guest to end").ConfigureAwait(false);
        }

        using var probe = new Socket(SocketType.Stream, ProtocolType.Tcp);
        if (await Unreachable(endpoint, probe).ConfigureAwait(false) is { } reason)
        {
            return await Complaint.Write($"no VM answers at {endpoint.Host}:{endpoint.Port}: {reason}").ConfigureAwait(false);
        }

        using var system = ActorSystem.Create(
            "remote", ConfigurationFactory.ParseString("akka.loglevel = OFF").WithFallback(VmConfiguration.LoadRemote("127.0.0.1", 0)));
        try
        {
            using var vm = new RemoteVm(system, endpoint);
            MachineConfig config;
            try
            {
                config = ToConfig(await Describe(vm, probe).ConfigureAwait(false));
            }
            catch (TimeoutException e)
            {
                return await Complaint.Write($"no VM answers at {endpoint.Host}:{endpoint.Port}: {e.Message}").ConfigureAwait(false);
            }

            var context = new HmpContext { Progress = ShowProgress };
            var monitor = new HmpMonitor(
                new MonitorCommands(new MonitorVm(config, vm.AskAsync<IProtocolMessage>, () => { })), context);
            (bool done, string answer) = await monitor.TryExecute(line).ConfigureAwait(false);
            if (answer.Length > 0)
            {
                await System.Console.Out.WriteLineAsync(answer).ConfigureAwait(false);
            }

            return !done ? ExitCode.BadInput
                : vm.AwaitsOutcome ? await ReportOutcome(vm).ConfigureAwait(false)
                : ExitCode.Success;
        }
        finally
        {
            await system.Terminate().ConfigureAwait(false);
        }
    }

    private static void ShowProgress(string text)
    {
        if (!System.Console.IsErrorRedirected)
        {
            System.Console.Error.Write($"\r{text}\e[K");
        }
    }

    // Finds out why nobody listens there, before Akka tries, whose errors do not say it. Null if somebody listens.
    private static async Task<string?> Unreachable(EndpointOption endpoint, Socket probe)
    {
        using var patience = new CancellationTokenSource(s_patience);
        try
        {
            await probe.ConnectAsync(endpoint.Host, endpoint.Port, patience.Token).ConfigureAwait(false);
            return null;
        }
        catch (SocketException e)
        {
            return SystemError.Describe(e);
        }
        catch (OperationCanceledException)
        {
            return $"no connection in {s_patience.TotalSeconds:F0} seconds";
        }
    }

    // A Vmm sends nothing to a connection on which it has received nothing. A program that greets or hangs up is another one.
    private static async Task<MachineDescription> Describe(RemoteVm vm, Socket probe)
    {
        Task<MachineDescription> answer = vm.AskAsync<MachineDescription>(new GetMachineDescription());
        Task<int> greeting = probe.ReceiveAsync(new byte[1]);
        return await Task.WhenAny(answer, greeting).ConfigureAwait(false) == answer
            ? await answer.ConfigureAwait(false)
            : throw new TimeoutException(NoVmm);
    }

    private static async Task<int> ReportOutcome(RemoteVm vm)
    {
        try
        {
            HotplugOutcome outcome = await vm.OutcomeAsync().ConfigureAwait(false);
            await System.Console.Out.WriteLineAsync(OutcomeText.Of(outcome)).ConfigureAwait(false);
            return outcome.Kind switch
            {
                HotplugOutcomeKind.Done => ExitCode.Success,
                HotplugOutcomeKind.Refused => ExitCode.Refused,
                HotplugOutcomeKind.TimedOut => ExitCode.TimedOut,
                _ => ExitCode.Cancelled,
            };
        }
        catch (TimeoutException)
        {
            return await Complaint.Write("the VM no longer answers; info hotpluggable-cpus says what is plugged").ConfigureAwait(false);
        }
    }

    // The configuration as far as monitor commands look at it. RAM and boot files are not part of it.
    private static MachineConfig ToConfig(MachineDescription machine) => new(
        CpuModel.Find(machine.CpuModel) is { } model && machine.Protocol == ProtocolVersion.Current
            ? model
            : throw new TimeoutException("the VM is of another version of Vmm"),
        machine.EnabledCpus,
        new CpuTopology(machine.Sockets, machine.Clusters, machine.Cores, machine.Threads),
        machine.MemoryBytes,
        new BootConfig(default, null, ""))
    {
        Acpi = machine.Acpi,
        DisabledCpus = machine.DisabledCpus,
        Name = machine.Name,
        Uuid = Guid.TryParse(machine.Uuid, out Guid uuid) ? uuid : default,
    };

    // Sends one message at a time. Its answer, a later outcome, and the loss of the connection all come to the same inbox.
    private sealed class RemoteVm : IDisposable
    {
        private readonly Inbox _inbox;
        private readonly ActorSelection _vm;
        private IProtocolMessage? _request;
        private HotplugAccepted? _accepted;

        public RemoteVm(ActorSystem system, EndpointOption endpoint)
        {
            _inbox = Inbox.Create(system);
            _vm = system.RemoteVm(endpoint.Host, endpoint.Port);
            system.EventStream.Subscribe(_inbox.Receiver, typeof(AssociationErrorEvent));
            system.EventStream.Subscribe(_inbox.Receiver, typeof(DisassociatedEvent));
        }

        public bool AwaitsOutcome => _accepted != null;

        /// <exception cref="TimeoutException">The VM did not answer, or not with that message. The text says why.</exception>
        public async Task<T> AskAsync<T>(IProtocolMessage message)
        {
            _vm.Tell(message, _inbox.Receiver);
            bool takesLong = message is PlugVcpu or UnplugVcpu or SetVcpuAdmin or SaveSnapshot or LoadSnapshot
                or StartMigration or ReceiveMigration or RecoverMigration;
            T answer = await Receive<T>(takesLong ? s_requestPatience : s_patience).ConfigureAwait(false);
            _request = message;
            _accepted = answer as HotplugAccepted;
            return answer;
        }

        /// <summary>
        /// The outcome of the accepted request. While the guest does not run, and so cannot answer, the outcome is a time-out.
        /// </summary>
        /// <exception cref="TimeoutException">The VM no longer answers.</exception>
        public async Task<HotplugOutcome> OutcomeAsync()
        {
            while (true)
            {
                _vm.Tell(new GetVmStatus(), _inbox.Receiver);
                switch (await Receive<IProtocolMessage>(s_patience).ConfigureAwait(false))
                {
                    case HotplugOutcome outcome:
                        return outcome;
                    case VmStatus status when status.RunState != VmRunState.Running:
                        return new HotplugOutcome(
                            _accepted!.Id, _accepted.Cpu, HotplugOperations.Of(_request!), HotplugOutcomeKind.TimedOut, 0);
                }

                try
                {
                    return await Receive<HotplugOutcome>(s_patience).ConfigureAwait(false);
                }
                catch (TimeoutException)
                {
                    // The guest takes its time. The next question shows whether the VM is still there.
                }
            }
        }

        public void Dispose() => _inbox.Dispose();

        private async Task<T> Receive<T>(TimeSpan patience)
        {
            object? answer;
            try
            {
                answer = await _inbox.ReceiveAsync(patience).ConfigureAwait(false);
            }
            catch (TimeoutException)
            {
                answer = null;
            }

            return answer switch
            {
                T expected => expected,
                AssociationErrorEvent or DisassociatedEvent => throw new TimeoutException(NoVmm),
                _ => throw new TimeoutException($"nothing was said for {patience.TotalSeconds:F0} seconds"),
            };
        }
    }
}
