using Vmm.Actors.Protocol;

namespace Vmm.Fleet.Nodes;

/// <summary>How VMs move between nodes: over TLS 1.3, by the certificates of the nodes, from process to process.</summary>
/// <param name="Host">The name or address of this node in its certificate.</param>
/// <param name="Folder">It has what the object <c>tls-creds-x509</c> of <c>vmm run</c> needs.</param>
internal sealed record MigrationLink(string Host, string Folder)
{
    // Ids of objects: for a process that receives, for one that sends, and whom the first lets in.
    private const string Server = "fleet-server", Client = "fleet-client", Sender = "fleet-sender";

    /// <summary>Where a process is to listen: the machine chooses the port.</summary>
    public string Address => $"tcp:{Host}:0";

    /// <summary>Adds the options of a VM's process.</summary>
    public void AddTo(List<string> line)
    {
        foreach ((string id, string side) in ((string, string)[])[(Server, "server"), (Client, "client")])
        {
            string folder = Folder.Replace(",", ",,", StringComparison.Ordinal);
            VmCommandLine.Add(line, "-object", $"tls-creds-x509,id={id},dir={folder},endpoint={side},verify-peer=on");
        }
    }

    /// <summary>Adds what a process that receives needs beside that.</summary>
    /// <param name="node">The node that sends. No other certificate has its name: the authority issues none.</param>
    public static void AddSender(List<string> line, string node) =>
        VmCommandLine.Add(line, "-object", $"authz-simple,id={Sender},identity=CN={node}");

    /// <summary>Says to a process that receives which of the objects it is to use.</summary>
    public static SetMigrationParameters ReceiverParameters() =>
        new([MigrationParameter.TlsCreds, MigrationParameter.TlsAuthz], [Server, Sender]);

    /// <summary>Says it to a process that sends.</summary>
    public static SetMigrationParameters SenderParameters() => new([MigrationParameter.TlsCreds], [Client]);

    /// <summary>Where others reach a process that listens: the host is one of the certificate.</summary>
    public string Reached(string listens) => $"tcp:{Host}:{listens[(listens.LastIndexOf(':') + 1)..]}";
}
