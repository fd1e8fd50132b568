using System.Text.Json.Nodes;
using Vmm.Actors.Protocol;
using Vmm.Management.CharacterDevices;
using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

public enum YankInstanceType
{
    BlockNode,
    Chardev,
    Migration,
}

public sealed record YankInstanceBlockNode(string NodeName);

public sealed record YankInstanceChardev(string Id);

[QapiUnion("type")]
[QapiBranch("block-node", typeof(YankInstanceBlockNode))]
[QapiBranch("chardev", typeof(YankInstanceChardev))]
public sealed record YankInstance(YankInstanceType Type);

public sealed record YankArguments(YankInstance[] Instances);

/// <summary>
/// Commands that end connections which hang (QEMU, qapi/yank.json): those of sockets, and that of the migration under way. They may be sent
/// out of band.
/// </summary>
/// <param name="devices">Gives the character devices. Sockets can be yanked.</param>
public sealed class YankCommands(MonitorVm vm, Func<IEnumerable<CharacterDevice>> devices)
{
    public void Register(QapiCommandTable table)
    {
        table.AddQuery("query-yank", typeof(YankInstance[]), Query, outOfBand: true);
        table.AddOpen<YankArguments>("yank", Yank, outOfBand: true);
    }

    private IEnumerable<SocketDevice> Sockets => devices().OfType<SocketDevice>();

    private async Task<JsonNode> Query()
    {
        var found = new JsonArray([.. Sockets.Select(d => new JsonObject { ["type"] = "chardev", ["id"] = d.Label })]);
        if (await MigratesAsync().ConfigureAwait(false))
        {
            found.Add(new JsonObject { ["type"] = "migration" });
        }

        return found;
    }

    // A migration waits for a peer or has one.
    private async Task<bool> MigratesAsync()
    {
        try
        {
            return (await vm.Ask<MigrationInfo>(new GetMigration()).ConfigureAwait(false)).Status
                is not (MigrationStatus.None or MigrationStatus.Completed or MigrationStatus.Failed or MigrationStatus.Cancelled);
        }
        catch (QapiException)
        {
            // The VM has ended.
            return false;
        }
    }

    // Ends all connections of the list, or none if one of them does not exist.
    private async Task Yank(JsonObject arguments)
    {
        QapiInput.Read<YankArguments>(arguments);
        var sockets = new List<SocketDevice>();
        bool migration = false;
        foreach (JsonNode? instance in arguments["instances"]!.AsArray())
        {
            switch (instance!["type"]!.GetValue<string>())
            {
                case "chardev" when Sockets.FirstOrDefault(d => d.Label == instance["id"]!.GetValue<string>()) is { } device:
                    sockets.Add(device);
                    break;
                case "migration" when migration || await MigratesAsync().ConfigureAwait(false):
                    migration = true;
                    break;
                default:
                    throw new QapiException("Instance not found", QapiErrorClass.DeviceNotFound);
            }
        }

        sockets.ForEach(s => s.Yank());
        if (migration)
        {
            await vm.Ask<MigrationCommandDone>(new YankMigration()).ConfigureAwait(false);
        }
    }
}
