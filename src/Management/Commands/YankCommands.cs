using System.Text.Json.Nodes;
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

/// <summary>Commands that end connections which hang (QEMU, qapi/yank.json). They may be sent out of band.</summary>
/// <param name="devices">Gives the character devices. Sockets can be yanked.</param>
public sealed class YankCommands(Func<IEnumerable<CharacterDevice>> devices)
{
    public void Register(QapiCommandTable table)
    {
        table.AddQuery("query-yank", typeof(YankInstance[]), Query, outOfBand: true);
        table.AddOpen<YankArguments>("yank", Yank, outOfBand: true);
    }

    private IEnumerable<SocketDevice> Sockets => devices().OfType<SocketDevice>();

    private JsonArray Query() => new([.. Sockets.Select(d => new JsonObject { ["type"] = "chardev", ["id"] = d.Label })]);

    // Ends all connections of the list, or none if one of them does not exist.
    private Task Yank(JsonObject arguments)
    {
        QapiInput.Read<YankArguments>(arguments);
        SocketDevice[] chosen = [.. arguments["instances"]!.AsArray().Select(i => i!["type"]!.GetValue<string>() == "chardev"
            && Sockets.FirstOrDefault(d => d.Label == i["id"]!.GetValue<string>()) is { } device
                ? device
                : throw new QapiException("Instance not found", QapiErrorClass.DeviceNotFound))];
        foreach (SocketDevice device in chosen)
        {
            device.Yank();
        }

        return Task.CompletedTask;
    }
}
