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

/// <summary>Connections that hang are ended (QEMU, qapi/yank.json). These commands may be sent out of band.</summary>
/// <param name="devices">The character devices; sockets can be yanked.</param>
public sealed class YankCommands(Func<IEnumerable<CharacterDevice>> devices)
{
    public void Register(QapiCommandTable table)
    {
        table.AddQuery("query-yank", typeof(YankInstance[]), Query, outOfBand: true);
        table.AddOpen<YankArguments>("yank", Yank, outOfBand: true);
    }

    private IEnumerable<SocketDevice> Sockets => devices().OfType<SocketDevice>();

    private JsonArray Query() => new([.. Sockets.Select(d => new JsonObject { ["type"] = "chardev", ["id"] = d.Label })]);

    // All of them or none.
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
