using System.Globalization;
using System.Net;
using Vmm.Management.Text;

namespace Vmm.Fleet.Cluster;

/// <summary>The member <c>cluster</c> of a node's file: how a node is one of several.</summary>
/// <param name="Listen">HOST:PORT for the other nodes; the host is one of the certificate's.</param>
/// <param name="Seeds">HOST:PORT of nodes, the same in all files: a node joins by any of them.</param>
/// <param name="Authority">The certificate of the fleet's authority: PEM.</param>
/// <param name="Certificate">The node's own: PEM. It is the certificate of the node's name.</param>
/// <param name="Key">Its key: PEM, in a file of mode 600.</param>
/// <param name="Database">A file of mode 600, which has a connection string of Npgsql: the PostgreSQL of all nodes.</param>
/// <param name="Revoked">The authority's list of revoked certificates: PEM. Nothing is known of such ones without.</param>
public sealed record ClusterConfig(
    string Listen, string[] Seeds, string Authority, string Certificate, string Key, string Database, string? Revoked = null)
{
    /// <summary>Where the node listens.</summary>
    internal (string Host, int Port) Own => Parse("listen", Listen);

    /// <summary>Where the nodes listen by which it joins.</summary>
    internal IReadOnlyList<(string Host, int Port)> Others => [.. Seeds.Select(seed => Parse("seeds", seed))];

    /// <exception cref="NodeConfigException">Something of it is wrong: one line.</exception>
    internal void Check()
    {
        _ = Own;
        if (Others.Count == 0)
        {
            throw new NodeConfigException("cluster.seeds: give HOST:PORT of at least one node");
        }
    }

    /// <summary>HOST:PORT, as this class writes it.</summary>
    internal static (string Host, int Port) Parse(string address) => Parse("listen", address);

    private static (string Host, int Port) Parse(string member, string text)
    {
        int colon = text.LastIndexOf(':');
        string host = colon < 0 ? "" : text[..colon];
        return Uri.CheckHostName(host) is UriHostNameType.Dns or UriHostNameType.IPv4
            && int.TryParse(text[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int port)
            && port is > 0 and <= IPEndPoint.MaxPort
                ? (host, port)
                : throw new NodeConfigException($"cluster.{member}: '{UserText.Legible(text)}' is not HOST:PORT");
    }
}
