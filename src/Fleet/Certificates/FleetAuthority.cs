using System.Numerics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.RegularExpressions;
using Vmm.Actors.Journals;
using Vmm.Management.Certificates;

namespace Vmm.Fleet.Certificates;

/// <summary>
/// The certificate authority of a fleet, in a folder: <c>ca.pem</c>, <c>ca-key.pem</c>, <c>crl.pem</c>, which is the list of what it has
/// revoked, and what it has issued as <c>issued/NAME.pem</c> with <c>issued/NAME-key.pem</c>; certificates that were replaced or revoked
/// are in <c>former</c>. Keys are ECDSA on P-256, in files of mode 600. Certificates are those of RFC 5280: a node's is for
/// servers and clients, a client's for clients alone; neither can issue others.
/// </summary>
public sealed partial class FleetAuthority : IDisposable
{
    public const string CertificateFile = "ca.pem", KeyFile = "ca-key.pem", RevokedFile = "crl.pem", IssuedFolder = "issued";

    private const string FormerFolder = "former";

    private const string KeySuffix = "-key";
    private const int Years = 10, SerialBytes = 16;

    private static readonly Oid s_serverAuth = new("1.3.6.1.5.5.7.3.1"), s_clientAuth = new("1.3.6.1.5.5.7.3.2");

    // Clocks of nodes may differ by so much.
    private static readonly TimeSpan s_skew = TimeSpan.FromMinutes(5);

    private readonly string _folder;
    private readonly X509Certificate2 _certificate;

    private FleetAuthority(string folder, X509Certificate2 certificate)
    {
        _folder = folder;
        _certificate = certificate;
    }

    /// <summary>What is trusted with this authority.</summary>
    public FleetTrust Trust => new(X509CertificateLoader.LoadCertificate(_certificate.RawData));

    private string Issued => Path.Combine(_folder, IssuedFolder);

    private string Former => Path.Combine(_folder, FormerFolder);

    /// <summary>Makes an authority in a folder that has none; it is valid for ten years.</summary>
    /// <param name="name">Of the fleet.</param>
    /// <exception cref="CertificateException">
    /// There is one already, the name is wrong, or the folder cannot be written: one line.
    /// </exception>
    public static FleetAuthority Init(string folder, string name, DateTimeOffset now)
    {
        RequireName(name);
        string certificate = Path.Combine(folder, CertificateFile), key = Path.Combine(folder, KeyFile);
        if (File.Exists(certificate) || File.Exists(key))
        {
            throw new CertificateException($"{folder} has an authority already");
        }

        using ECDsa pair = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(NameOf($"vmm fleet {name}"), pair, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(X509BasicConstraintsExtension.CreateForCertificateAuthority(0));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        using X509Certificate2 made = request.CreateSelfSigned(now - s_skew, now.AddYears(Years));
        Writing(folder, () =>
        {
            DurableFolder.Make(Path.Combine(folder, IssuedFolder));
            PrivateFile.Write(key, pair.ExportPkcs8PrivateKeyPem() + "\n", isPublic: false);
            PrivateFile.Write(certificate, made.ExportCertificatePem() + "\n", isPublic: true);
        });
        FleetAuthority authority = Open(folder);
        authority.WriteList(new CertificateRevocationListBuilder(), 1, now);
        return authority;
    }

    /// <exception cref="CertificateException">There is none, or others may read its key: one line.</exception>
    public static FleetAuthority Open(string folder)
    {
        if (!File.Exists(Path.Combine(folder, CertificateFile)))
        {
            throw new CertificateException($"{folder} has no authority: vmm fleet ca init makes one");
        }

        return new FleetAuthority(folder, ReadPair(Path.Combine(folder, CertificateFile), Path.Combine(folder, KeyFile)));
    }

    /// <summary>A certificate with its key, from two files in PEM.</summary>
    /// <exception cref="CertificateException">A file is missing or wrong, or others may read the key: one line.</exception>
    public static X509Certificate2 ReadPair(string certificate, string key)
    {
        string secret = PrivateFile.Read(key);
        try
        {
            return X509Certificate2.CreateFromPem(File.ReadAllText(certificate), secret);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            throw new CertificateException($"{certificate} and {key} are no certificate with its key: {e.Message}", e);
        }
    }

    /// <summary>The files of a certificate that was issued.</summary>
    public (string Certificate, string Key) FilesOf(string name) =>
        (Path.Combine(Issued, $"{name}.pem"), Path.Combine(Issued, $"{name}{KeySuffix}.pem"));

    /// <summary>Issues a certificate with a new key.</summary>
    /// <param name="hosts">Names and addresses at which a node serves; none for a client.</param>
    /// <param name="validFor">Not longer than the authority itself.</param>
    /// <exception cref="CertificateException">There is one of that name, or something is wrong: one line.</exception>
    public FleetCertificate Issue(FleetIdentity identity, IReadOnlyList<string> hosts, DateTimeOffset now, TimeSpan validFor)
    {
        RequireName(identity.Name);
        if (File.Exists(FilesOf(identity.Name).Certificate))
        {
            throw new CertificateException($"'{identity.Name}' has a certificate already: vmm fleet ca renew makes another");
        }

        return Write(identity, hosts, now, validFor);
    }

    /// <summary>
    /// Issues a certificate for the same holder in place of the one that is there, with a new key, valid for as long as that was.
    /// </summary>
    /// <exception cref="CertificateException">There is none of that name, or something is wrong: one line.</exception>
    public FleetCertificate Renew(string name, DateTimeOffset now)
    {
        RequireName(name);
        FleetCertificate old = List().FirstOrDefault(c => c.Identity!.Name == name)
            ?? throw new CertificateException($"'{name}' has no certificate: vmm fleet ca issue makes one");
        Keep(name);
        return Write(old.Identity!, old.Hosts, now, old.NotAfter - old.NotBefore - s_skew);
    }

    /// <summary>
    /// Revokes all certificates of a holder, those that were replaced, too: they are in the list, which nodes read, from now on. The name
    /// is free for another certificate.
    /// </summary>
    /// <returns>Their serial numbers.</returns>
    /// <exception cref="CertificateException">There is none that is valid, or something is wrong: one line.</exception>
    public IReadOnlyList<string> Revoke(string name, DateTimeOffset now)
    {
        RequireName(name);
        string list = Path.Combine(_folder, RevokedFile);
        var serials = new List<string>();
        Writing(_folder, () =>
        {
            BigInteger number = 0;
            RevocationList? known = File.Exists(list) ? FleetTrust.ReadList(list, _certificate) : null;
            CertificateRevocationListBuilder builder = known == null ? new CertificateRevocationListBuilder()
                : CertificateRevocationListBuilder.LoadPem(File.ReadAllText(list), out number);
            (string certificate, string key) = FilesOf(name);
            IEnumerable<string> former = Directory.Exists(Former) ? Directory.EnumerateFiles(Former, "*.pem") : [];
            foreach (string path in former.Prepend(certificate).Where(File.Exists))
            {
                using X509Certificate2 one = Read(path);
                if (FleetCertificate.Of(one).Identity?.Name == name && one.NotAfter > now && known?.Find(one) == null)
                {
                    builder.AddEntry(one, now);
                    serials.Add(one.SerialNumber);
                }
            }

            if (serials.Count == 0)
            {
                throw new CertificateException($"'{name}' has no certificate that could be revoked");
            }

            WriteList(builder, number + 1, now);
            Keep(name);
            File.Delete(certificate);
            File.Delete(key);
        });
        return serials;
    }

    /// <summary>What was issued, by name.</summary>
    /// <exception cref="CertificateException">A file is none of a certificate: one line.</exception>
    public IReadOnlyList<FleetCertificate> List()
    {
        var found = new List<FleetCertificate>();
        Writing(Issued, () =>
        {
            foreach (string path in Directory.EnumerateFiles(Issued, "*.pem").Order(StringComparer.Ordinal))
            {
                if (path.EndsWith($"{KeySuffix}.pem", StringComparison.Ordinal))
                {
                    continue;
                }

                using X509Certificate2 certificate = Read(path);
                FleetCertificate issued = FleetCertificate.Of(certificate);
                found.Add(issued.Identity != null ? issued : throw new CertificateException($"{path} is no certificate of a fleet"));
            }
        });
        return found;
    }

    public void Dispose() => _certificate.Dispose();

    // What was issued is known as long as it is valid, by its serial number.
    private void Keep(string name) => Writing(Former, () =>
    {
        string certificate = FilesOf(name).Certificate;
        if (File.Exists(certificate))
        {
            using X509Certificate2 old = Read(certificate);
            DurableFolder.Make(Former);
            PrivateFile.Write(Path.Combine(Former, $"{old.SerialNumber}.pem"), old.ExportCertificatePem() + "\n", isPublic: true);
        }
    });

    // It is the last one until there is another: RFC 5280 asks for a time of the next one.
    private void WriteList(CertificateRevocationListBuilder builder, BigInteger number, DateTimeOffset now)
    {
        byte[] list = builder.Build(_certificate, number, _certificate.NotAfter, HashAlgorithmName.SHA256, thisUpdate: now);
        string text = PemEncoding.WriteString("X509 CRL", list) + "\n";
        Writing(_folder, () => PrivateFile.Write(Path.Combine(_folder, RevokedFile), text, isPublic: true));
    }

    private static X509Certificate2 Read(string path)
    {
        try
        {
            return X509Certificate2.CreateFromPem(File.ReadAllText(path));
        }
        catch (CryptographicException e)
        {
            throw new CertificateException($"{path} is no certificate: {e.Message}", e);
        }
    }

    private FleetCertificate Write(FleetIdentity identity, IReadOnlyList<string> hosts, DateTimeOffset now, TimeSpan validFor)
    {
        bool isNode = identity.Kind == CertificateKind.Node;
        if (isNode == (hosts.Count == 0))
        {
            throw new CertificateException(isNode
                ? $"node '{identity.Name}' needs the names or addresses at which it serves"
                : $"client '{identity.Name}' serves at no host");
        }

        if (hosts.FirstOrDefault(host => Uri.CheckHostName(host) == UriHostNameType.Unknown) is { } wrong)
        {
            throw new CertificateException($"'{wrong}' is neither the name nor the address of a host");
        }

        DateTimeOffset notAfter = now + validFor;
        if (validFor <= TimeSpan.Zero || notAfter > _certificate.NotAfter || now < _certificate.NotBefore)
        {
            throw new CertificateException($"a certificate until {notAfter.UtcDateTime:yyyy-MM-dd} is not possible: that of the authority "
                + $"is valid from {_certificate.NotBefore.ToUniversalTime():yyyy-MM-dd} to "
                + $"{_certificate.NotAfter.ToUniversalTime():yyyy-MM-dd}");
        }

        using ECDsa pair = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(NameOf(identity.Name), pair, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(X509BasicConstraintsExtension.CreateForEndEntity(critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension(isNode ? [s_serverAuth, s_clientAuth] : [s_clientAuth], false));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(_certificate, true, false));
        request.CertificateExtensions.Add(FleetCertificate.Names(identity, hosts));

        // A serial number is positive (RFC 5280, section 4.1.2.2).
        byte[] serial = RandomNumberGenerator.GetBytes(SerialBytes);
        serial[0] = (byte)((serial[0] & 0x7F) | 0x40);
        DateTimeOffset notBefore = now - s_skew > _certificate.NotBefore ? now - s_skew : _certificate.NotBefore;
        using X509Certificate2 made = request.Create(_certificate, notBefore, notAfter, serial);
        Writing(Issued, () =>
        {
            (string certificate, string key) = FilesOf(identity.Name);
            PrivateFile.Write(key, pair.ExportPkcs8PrivateKeyPem() + "\n", isPublic: false);
            PrivateFile.Write(certificate, made.ExportCertificatePem() + "\n", isPublic: true);
        });
        return FleetCertificate.Of(made);
    }

    private static void RequireName(string name)
    {
        if (!Names().IsMatch(name))
        {
            throw new CertificateException(
                $"'{name}' is no name: letters, digits, '-', '.' and '_' are expected, at most 63, the first a letter or digit");
        }

        // The file of its certificate would be that of another's key.
        if (name.EndsWith(KeySuffix, StringComparison.Ordinal))
        {
            throw new CertificateException($"'{name}' is no name: it ends in '{KeySuffix}', as files of keys do");
        }
    }

    // The name is one of RequireName, but for spaces, so nothing of it needs to be escaped.
    private static X500DistinguishedName NameOf(string name)
    {
        var builder = new X500DistinguishedNameBuilder();
        builder.AddCommonName(name);
        return builder.Build();
    }

    private static void Writing(string folder, Action act)
    {
        try
        {
            act();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CertificateException($"cannot use {folder}: {e.Message}", e);
        }
    }

    [GeneratedRegex(@"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}\z")]
    private static partial Regex Names();
}
