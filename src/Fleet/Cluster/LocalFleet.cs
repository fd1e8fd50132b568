using System.Net;
using Vmm.Fleet.Certificates;
using Vmm.Fleet.Nodes;

namespace Vmm.Fleet.Cluster;

/// <summary>
/// What the nodes of a fleet have in common that are all on this machine: an authority with a certificate for each of them, the file of
/// their database, addresses, and a folder for each node. At the end, when the nodes have ended, its VMs are killed, and all files are
/// removed.
/// </summary>
public sealed class LocalFleet : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-").FullName;
    private readonly string _database;
    private readonly IReadOnlyList<IPEndPoint> _addresses;

    /// <param name="database">The connection string of an empty database of PostgreSQL.</param>
    /// <param name="addresses">Where the nodes listen for each other: node1, node2 and so on.</param>
    public LocalFleet(string database, IReadOnlyList<IPEndPoint> addresses)
    {
        _addresses = addresses;
        _database = Path.Combine(_folder, "database");
        PrivateFile.Write(_database, database, isPublic: false);
        Authority = FleetAuthority.Init(Path.Combine(_folder, "ca"), "local", DateTimeOffset.UtcNow.AddDays(-10));
        for (int node = 1; node <= addresses.Count; node++)
        {
            Authority.Issue(
                new FleetIdentity(NodeName(node), CertificateKind.Node, null), [$"{addresses[node - 1].Address}"], DateTimeOffset.UtcNow,
                TimeSpan.FromDays(30));
        }
    }

    public FleetAuthority Authority { get; }

    public static string NodeName(int number) => $"node{number}";

    public string FolderOf(int node) => Path.Combine(_folder, NodeName(node));

    /// <summary>The socket of a guest's serial line, where the VM is.</summary>
    public string ConsoleOf(int node, string vm) => new VmFolder(vm, Path.Combine(FolderOf(node), "vms", vm)).Console;

    /// <summary>How a node is one of several.</summary>
    public ClusterConfig ConfigOf(int node)
    {
        (string certificate, string key) = Authority.FilesOf(NodeName(node));
        return new ClusterConfig(
            AddressOf(node), [AddressOf(1), AddressOf(Math.Min(2, _addresses.Count))],
            Path.Combine(_folder, "ca", FleetAuthority.CertificateFile), certificate, key, _database,
            Path.Combine(_folder, "ca", FleetAuthority.RevokedFile));
    }

    /// <summary>Writes the file of a node, which serves REST at a port that the machine chooses; returns its path.</summary>
    public string WriteConfig(int node)
    {
        string path = Path.Combine(_folder, $"{NodeName(node)}.json");
        new NodeConfig(NodeName(node), FolderOf(node), Listen: ["http://127.0.0.1:0"], Cluster: ConfigOf(node)).Save(path);
        return path;
    }

    /// <summary>How many processes of VMs a node has, whether or not it runs itself.</summary>
    public int CountVms(int node) => Processes(FolderOf(node)).Count;

    public void Dispose()
    {
        Authority.Dispose();
        RemoveNodes(_folder);
    }

    /// <summary>Removes the folder of a node that has ended, or one with those of several. Their VMs are killed.</summary>
    public static void RemoveNodes(string folder)
    {
        List<VmProcess> all = Processes(folder);
        all.ForEach(vm => vm.Kill());

        // A process that has not quite ended may still write a file.
        SpinWait.SpinUntil(() => all.TrueForAll(vm => !vm.Identity.IsAlive), TimeSpan.FromMinutes(1));
        Directory.Delete(folder, recursive: true);
    }

    private static List<VmProcess> Processes(string folder) => !Directory.Exists(folder) ? []
        : [.. Directory.EnumerateDirectories(folder, "vms", SearchOption.AllDirectories).SelectMany(Directory.EnumerateDirectories)
            .Select(vm => VmProcess.Find(new VmFolder("", vm))).OfType<VmProcess>()];

    private string AddressOf(int node) => _addresses[node - 1].ToString();
}
