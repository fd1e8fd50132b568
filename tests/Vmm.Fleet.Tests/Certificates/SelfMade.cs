using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Vmm.Fleet.Certificates;

namespace Vmm.Fleet.Tests.Certificates;

/// <summary>Certificates that their holders have made, and that say all that those of an authority do.</summary>
internal static class SelfMade
{
    public static X509Certificate2 Node(string name) => Make(new FleetIdentity(name, CertificateKind.Node, null), ["127.0.0.1"]);

    public static X509Certificate2 Client(string name, FleetRole role) => Make(new FleetIdentity(name, CertificateKind.Client, role), []);

    private static X509Certificate2 Make(FleetIdentity identity, string[] hosts)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={identity.Name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(FleetCertificate.Names(identity, hosts));
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
    }
}
