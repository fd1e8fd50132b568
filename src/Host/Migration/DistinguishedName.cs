using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Vmm.Host.Migration;

/// <summary>
/// The distinguished name of a certificate as QEMU has it, which is gnutls_x509_crt_get_dn(): <c>C=GB,O=Example,CN=host</c>. Its parts are
/// in the order of the certificate, and escaped (RFC 4514, section 2.4).
/// </summary>
internal static class DistinguishedName
{
    // RFC 4514, section 3, and those that GnuTLS knows beside them (lib/x509/dn, RFC 4519).
    private static readonly Dictionary<string, string> s_names = new(StringComparer.Ordinal)
    {
        ["2.5.4.3"] = "CN", ["2.5.4.4"] = "sn", ["2.5.4.5"] = "serialNumber", ["2.5.4.6"] = "C", ["2.5.4.7"] = "L", ["2.5.4.8"] = "ST",
        ["2.5.4.9"] = "street", ["2.5.4.10"] = "O", ["2.5.4.11"] = "OU", ["2.5.4.12"] = "title", ["2.5.4.42"] = "givenName",
        ["0.9.2342.19200300.100.1.1"] = "UID", ["0.9.2342.19200300.100.1.25"] = "DC", ["1.2.840.113549.1.9.1"] = "EMAIL",
    };

    public static string Of(X500DistinguishedName name) =>
        string.Join(',', name.EnumerateRelativeDistinguishedNames(reversed: false).Select(Part));

    // Several values in one part, and texts of other types, are told as bytes: they equal nothing that is written for a person.
    private static string Part(X500RelativeDistinguishedName part)
    {
        if (part.HasMultipleElements || !s_names.TryGetValue(part.GetSingleElementType().Value ?? "", out string? type)
            || part.GetSingleElementValue() is not { } value)
        {
            return $"#{Convert.ToHexStringLower(part.RawData.Span)}";
        }

        var text = new StringBuilder($"{type}=");
        for (int i = 0; i < value.Length; i++)
        {
            bool isEscaped = ",+\"\\<>;".Contains(value[i]) || (i == 0 && value[i] is '#' or ' ')
                || (i == value.Length - 1 && value[i] == ' ');
            text.Append(isEscaped ? "\\" : "").Append(value[i]);
        }

        return text.ToString();
    }
}
