using System.Formats.Asn1;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Vmm.Fleet.Certificates;

/// <summary>What stands in a certificate of a fleet.</summary>
/// <param name="Identity">Null for a certificate that is neither a node's nor a client's.</param>
/// <param name="Hosts">Names and addresses at which a node serves.</param>
/// <param name="Serial">Hexadecimal.</param>
public sealed record FleetCertificate(
    FleetIdentity? Identity, IReadOnlyList<string> Hosts, string Serial, DateTimeOffset NotBefore, DateTimeOffset NotAfter)
{
    private const string SubjectAlternativeName = "2.5.29.17";

    // The tag of uniformResourceIdentifier in a GeneralName (RFC 5280, section 4.2.1.6).
    private static readonly Asn1Tag s_uri = new(TagClass.ContextSpecific, 6);

    /// <summary>A node whose certificate ends so soon, or sooner, is to have a new one.</summary>
    public static readonly TimeSpan RenewBefore = TimeSpan.FromDays(30);

    /// <summary>Whether the certificate is to be renewed.</summary>
    public bool IsDue(DateTimeOffset now) => NotAfter - now <= RenewBefore;

    public static FleetCertificate Of(X509Certificate2 certificate)
    {
        string[] hosts = [], uris = [];
        X509Extension? names = certificate.Extensions.FirstOrDefault(e => e.Oid?.Value == SubjectAlternativeName);
        try
        {
            if (names != null)
            {
                var read = new X509SubjectAlternativeNameExtension(names.RawData);
                hosts = [.. read.EnumerateDnsNames(), .. read.EnumerateIPAddresses().Select(a => a.ToString())];
                uris = [.. Uris(names.RawData)];
            }
        }
        catch (Exception e) when (e is CryptographicException or AsnContentException)
        {
            // It says nothing that is understood.
            (hosts, uris) = ([], []);
        }

        return new FleetCertificate(
            FleetIdentity.Of(certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false), uris), hosts, certificate.SerialNumber,
            certificate.NotBefore, certificate.NotAfter);
    }

    internal static X509Extension Names(FleetIdentity identity, IEnumerable<string> hosts)
    {
        var names = new SubjectAlternativeNameBuilder();
        names.AddUri(identity.Uri);
        foreach (string host in hosts)
        {
            if (IPAddress.TryParse(host, out IPAddress? address))
            {
                names.AddIpAddress(address);
            }
            else
            {
                names.AddDnsName(host);
            }
        }

        return names.Build();
    }

    private static List<string> Uris(byte[] extension)
    {
        AsnReader names = new AsnReader(extension, AsnEncodingRules.DER).ReadSequence();
        var uris = new List<string>();
        while (names.HasData)
        {
            if (names.PeekTag().HasSameClassAndValue(s_uri))
            {
                uris.Add(names.ReadCharacterString(UniversalTagNumber.IA5String, s_uri));
            }
            else
            {
                names.ReadEncodedValue();
            }
        }

        return uris;
    }
}
