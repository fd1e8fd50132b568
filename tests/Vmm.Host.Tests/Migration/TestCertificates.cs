using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Vmm.Host.Migration;
using Vmm.Host.Options;

namespace Vmm.Host.Tests.Migration;

/// <summary>An authority that signs certificates into folders, as <c>tls-creds-x509</c> takes them.</summary>
internal sealed class TestCertificates : IDisposable
{
    private static readonly DateTimeOffset s_from = DateTimeOffset.UtcNow.AddDays(-10);

    private readonly string _root = Directory.CreateTempSubdirectory("vmm-tls-").FullName;
    private readonly X509Certificate2 _authority;
    private int _count;

    public TestCertificates()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN=authority {Guid.NewGuid():N}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        _authority = request.CreateSelfSigned(s_from, DateTimeOffset.UtcNow.AddDays(10));
    }

    public void Dispose()
    {
        _authority.Dispose();
        Directory.Delete(_root, recursive: true);
    }

    /// <summary>A folder with the authority's certificate and, if a name is given, one of its own.</summary>
    /// <param name="side">server or client.</param>
    /// <param name="host">The DNS name or IP address that the certificate is for; null for a folder without one.</param>
    /// <param name="trusted">The authority that the folder trusts; this one if null.</param>
    /// <param name="subject">The distinguished name; CN= and the side if null.</param>
    public string Folder(
        string side, string? host, DateTimeOffset? until = null, TestCertificates? trusted = null, X500DistinguishedName? subject = null)
    {
        string folder = Directory.CreateDirectory(Path.Combine(_root, $"{side}{_count++}")).FullName;
        File.WriteAllText(Path.Combine(folder, "ca-cert.pem"), (trusted ?? this)._authority.ExportCertificatePem());
        if (host == null)
        {
            return folder;
        }

        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(subject ?? new X500DistinguishedName($"CN={side}"), key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        if (IPAddress.TryParse(host, out IPAddress? address))
        {
            names.AddIpAddress(address);
        }
        else
        {
            names.AddDnsName(host);
        }

        request.CertificateExtensions.Add(names.Build());
        using X509Certificate2 certificate = request.Create(
            _authority, s_from, until ?? DateTimeOffset.UtcNow.AddDays(5), RandomNumberGenerator.GetBytes(8));
        File.WriteAllText(Path.Combine(folder, $"{side}-cert.pem"), certificate.ExportCertificatePem());
        File.WriteAllText(Path.Combine(folder, $"{side}-key.pem"), key.ExportPkcs8PrivateKeyPem());
        return folder;
    }

    /// <summary>Writes the authority's list of what it has revoked, into a folder.</summary>
    /// <param name="certificates">Files of certificates.</param>
    public void WriteRevoked(string folder, params string[] certificates)
    {
        var builder = new CertificateRevocationListBuilder();
        foreach (string file in certificates)
        {
            using X509Certificate2 one = X509Certificate2.CreateFromPem(File.ReadAllText(file));
            builder.AddEntry(one);
        }

        byte[] list = builder.Build(_authority, 1, DateTimeOffset.UtcNow.AddDays(1), HashAlgorithmName.SHA256);
        File.WriteAllText(Path.Combine(folder, "ca-crl.pem"), PemEncoding.WriteString("X509 CRL", list));
    }

    /// <summary>A transport that knows the credentials of a folder as <c>tls</c>.</summary>
    /// <param name="objects">Values of <c>-object</c> beside them.</param>
    public static MigrationTransport Transport(string folder, string side, string more = "", params string[] objects)
    {
        IEnumerable<string> all = objects.Prepend($"tls-creds-x509,id=tls,dir={folder},endpoint={side}{more}");
        return new(ObjectTable.Of(CommandLine.Parse([.. all.SelectMany(value => (string[])["-object", value])])));
    }
}
