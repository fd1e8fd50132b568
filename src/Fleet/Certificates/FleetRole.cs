namespace Vmm.Fleet.Certificates;

/// <summary>What the holder of a client certificate may do; each role may do what those before it may.</summary>
public enum FleetRole
{
    /// <summary>Look.</summary>
    Viewer,

    /// <summary>Create, change and end VMs.</summary>
    Operator,

    /// <summary>Everything.</summary>
    Admin,
}

/// <summary>What a certificate of the fleet is for.</summary>
public enum CertificateKind
{
    /// <summary>A node: it serves, and it is a client of other nodes.</summary>
    Node,

    /// <summary>A person or a program that is a client of nodes.</summary>
    Client,
}

/// <summary>
/// Who holds a certificate. It stands in the certificate as URIs of its subject alternative name (RFC 5280, section 4.2.1.6):
/// <c>urn:vmm:node</c>, or <c>urn:vmm:role:</c> and the role.
/// </summary>
/// <param name="Role">Of a client; null of a node.</param>
public sealed record FleetIdentity(string Name, CertificateKind Kind, FleetRole? Role)
{
    private const string NodeUri = "urn:vmm:node";

    private static readonly (FleetRole Role, string Uri)[] s_roles =
        [.. Enum.GetValues<FleetRole>().Select(role => (role, $"urn:vmm:role:{role.ToString().ToLowerInvariant()}"))];

    internal Uri Uri => new(Kind == CertificateKind.Node ? NodeUri : s_roles[(int)Role!.Value].Uri);

    /// <summary>Null for a certificate that is neither.</summary>
    internal static FleetIdentity? Of(string name, IEnumerable<string> uris)
    {
        foreach (string uri in uris)
        {
            if (uri == NodeUri)
            {
                return new FleetIdentity(name, CertificateKind.Node, null);
            }

            if (Array.FindIndex(s_roles, r => r.Uri == uri) is >= 0 and int role)
            {
                return new FleetIdentity(name, CertificateKind.Client, s_roles[role].Role);
            }
        }

        return null;
    }
}
