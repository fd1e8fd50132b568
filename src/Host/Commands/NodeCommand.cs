using System.CommandLine;
using System.Runtime.InteropServices;
using Serilog;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Nodes;
using Vmm.Fleet.Rest;
using Vmm.Host.Logging;
using Vmm.Host.Options;
using Vmm.Management.Text;

namespace Vmm.Host.Commands;

/// <summary><c>vmm node --config FILE</c>: the daemon of a machine, which has its VMs and serves REST.</summary>
public static class NodeCommand
{
    public const string Name = "node";

    public static Command Create()
    {
        var config = new Option<string>("--config") { Description = "the node's file (docs/fleet.md)", Required = true };
        var log = new Option<string>("--log")
        {
            Description = "LEVEL[,FILE]: log to stderr, or to a file", DefaultValueFactory = _ => "information",
        };
        var command = new Command(Name, "Have the VMs of this machine, and serve REST") { config, log };
        command.Add(FleetNodesCommand.CreateDrain());
        command.Add(FleetNodesCommand.CreateUndrain());
        command.SetAction(parsed => RunAsync(parsed.GetValue(config)!, parsed.GetValue(log)!));
        return command;
    }

    /// <summary>Runs a node until it is told to end by a signal, or cannot go on.</summary>
    /// <param name="file">Its configuration.</param>
    /// <param name="log">As <see cref="LogOption"/> takes it.</param>
    /// <param name="supervisor">The actor that has the VMs of this machine; null for <see cref="NodeSupervisor"/>.</param>
    /// <returns>The exit code.</returns>
    internal static async Task<int> RunAsync(string file, string log, Func<NodeSettings, Akka.Actor.Props>? supervisor = null)
    {
        var stop = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            stop.TrySetResult();
        }

        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        try
        {
            Log.Logger = LogOption.Create(log);
            NodeConfig config = NodeConfig.Load(file);
            await using var node = FleetNode.Start(
                config.Name,
                new NodeSettings(config.Folder, OwnProgram.Command)
                {
                    Labels = config.Labels ?? [], Landlock = config.Landlock, VmUser = config.VmUser,
                    Cgroup = config.Cgroup,
                },
                AkkaLog.Configuration(Log.Logger), config.Cluster, supervisor);
            await using RestServer rest = await RestServer.StartAsync(config, node).ConfigureAwait(false);
            await System.Console.Out.WriteLineAsync($"node {config.Name}: {string.Join(' ', rest.Addresses)}").ConfigureAwait(false);
            await Task.WhenAny(stop.Task, node.Ended).ConfigureAwait(false);
            return stop.Task.IsCompleted ? ExitCode.Success
                : await Complaint.Write($"node {config.Name} ends: {await node.Ended.ConfigureAwait(false)}").ConfigureAwait(false);
        }
        catch (Exception e) when (e is NodeConfigException or OptionException)
        {
            return await Complaint.Write(e.Message).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return await Complaint.Write(SystemError.Describe(e)).ConfigureAwait(false);
        }
        finally
        {
            await Log.CloseAndFlushAsync().ConfigureAwait(false);
        }
    }
}
