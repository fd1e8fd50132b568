using System.CommandLine;
using System.Globalization;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Rest;

namespace Vmm.Host.Commands;

/// <summary><c>vmm fleet nodes</c>, and <c>vmm node drain</c> and <c>undrain</c>, which are clients of REST, too.</summary>
internal static class FleetNodesCommand
{
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(1);

    public static Command CreateList()
    {
        var command = new Command("nodes", "List the nodes");
        command.SetAction(parsed => FleetCommand.RunAsync(parsed, async connection =>
        {
            NodeStatus[] nodes = await connection.NodesAsync().ConfigureAwait(false);
            return FleetCommand.Print(parsed, nodes, RestJson.Default.NodeStatusArray, () => FleetCommand.Table(
            [
                ["NODE", "VMS", "CORES", "MEMORY", "TAKES VMS", "LABELS"],
                .. nodes.Select(node => (string[])
                [
                    node.Node, node.Vms.ToString(CultureInfo.InvariantCulture), node.Cores.ToString(CultureInfo.InvariantCulture),
                    string.Create(CultureInfo.InvariantCulture, $"{node.MemoryBytes >> 20}M"), node.TakesVms ? "yes" : "no",
                    string.Join(',', node.Labels),
                ]),
            ]));
        }));
        return command;
    }

    public static Command CreateDrain() => Create(
        "drain", "Move all running VMs of a node to others, and let none come; ends when none is left", takesVms: false,
        async (connection, status) =>
        {
            while (status.Vms > 0)
            {
                await Task.Delay(s_look).ConfigureAwait(false);
                status = (await connection.NodesAsync().ConfigureAwait(false)).FirstOrDefault(n => n.Node == status.Node)
                    ?? throw new FleetException($"node '{status.Node}' is not there any more");
            }

            return status;
        });

    public static Command CreateUndrain() =>
        Create("undrain", "Let VMs come to a node again", takesVms: true, (_, status) => Task.FromResult(status));

    private static Command Create(string name, string help, bool takesVms, Func<FleetConnection, NodeStatus, Task<NodeStatus>> wait)
    {
        var node = new Argument<string>("node") { Description = "the node's name" };
        var command = new Command(name, help) { node };
        FleetCommand.AddOptions(command);
        command.SetAction(parsed => FleetCommand.RunAsync(parsed, async connection =>
        {
            NodeStatus status = await connection.SetNodeAsync(parsed.GetValue(node)!, new NodeChange(takesVms)).ConfigureAwait(false);
            status = await wait(connection, status).ConfigureAwait(false);
            return FleetCommand.Print(parsed, status, RestJson.Default.NodeStatus, () => "done");
        }));
        return command;
    }
}
