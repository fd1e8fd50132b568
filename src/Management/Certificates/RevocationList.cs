using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Vmm.Management.Certificates;

/// <summary>
/// A list of revoked certificates (RFC 5280, section 5) of one authority, whose key is ECDSA or RSA. It holds until there is a newer one:
/// its time of the next update says nothing here, for whoever is without a newer list is not to be without any. Any thread.
/// </summary>
public sealed class RevocationList
{
    private const string PemLabel = "X509 CRL";
    private const string EcdsaSha256 = "1.2.840.10045.4.3.2", EcdsaSha384 = "1.2.840.10045.4.3.3", EcdsaSha512 = "1.2.840.10045.4.3.4";
    private const string RsaSha256 = "1.2.840.113549.1.1.11", RsaSha384 = "1.2.840.113549.1.1.12", RsaSha512 = "1.2.840.113549.1.1.13";

    // By the serial number in hexadecimal, as X509Certificate2.SerialNumber has it: when.
    private readonly Dictionary<string, DateTimeOffset> _revoked = new(StringComparer.Ordinal);

    private RevocationList()
    {
    }

    /// <summary>Reads a list in PEM, of which the first is taken that the authority has signed.</summary>
    /// <exception cref="CryptographicException">There is none, or it is damaged or was signed by somebody else: one line.</exception>
    public static RevocationList Read(string text, IReadOnlyList<X509Certificate2> authorities)
    {
        try
        {
            if (!PemEncoding.TryFind(text, out PemFields fields) || text[fields.Label] != PemLabel)
            {
                throw new CryptographicException("it is no list of revoked certificates in PEM");
            }

            return Decode(Convert.FromBase64String(text[fields.Base64Data]), authorities);
        }
        catch (AsnContentException e)
        {
            throw new CryptographicException($"it is damaged: {e.Message}", e);
        }
    }

    /// <summary>When a certificate of the authority was revoked; null if it was not.</summary>
    public DateTimeOffset? Find(X509Certificate2 certificate) => Find(certificate.SerialNumber);

    /// <param name="serial">Hexadecimal, in upper case.</param>
    /// <inheritdoc cref="Find(X509Certificate2)"/>
    public DateTimeOffset? Find(string serial) => _revoked.TryGetValue(serial, out DateTimeOffset when) ? when : null;

    private static RevocationList Decode(byte[] bytes, IReadOnlyList<X509Certificate2> authorities)
    {
        AsnReader list = new AsnReader(bytes, AsnEncodingRules.DER).ReadSequence();
        ReadOnlyMemory<byte> signed = list.PeekEncodedValue();
        AsnReader body = list.ReadSequence();
        string algorithm = list.ReadSequence().ReadObjectIdentifier();
        byte[] signature = list.ReadBitString(out _);
        if (!authorities.Any(authority => HasSigned(authority, algorithm, signed.Span, signature)))
        {
            throw new CryptographicException("it was not signed by the authority");
        }

        // Version, algorithm, issuer, this update, next update.
        if (body.PeekTag().HasSameClassAndValue(Asn1Tag.Integer))
        {
            body.ReadInteger();
        }

        body.ReadSequence();
        body.ReadSequence();
        ReadTime(body);
        if (body.HasData && IsTime(body.PeekTag()))
        {
            ReadTime(body);
        }

        var revoked = new RevocationList();
        AsnReader? entries = body.HasData && body.PeekTag().HasSameClassAndValue(Asn1Tag.Sequence) ? body.ReadSequence() : null;
        while (entries?.HasData == true)
        {
            AsnReader entry = entries.ReadSequence();
            revoked._revoked[Convert.ToHexString(entry.ReadIntegerBytes().Span)] = ReadTime(entry);
        }

        return revoked;
    }

    private static bool IsTime(Asn1Tag tag) =>
        tag.HasSameClassAndValue(Asn1Tag.UtcTime) || tag.HasSameClassAndValue(Asn1Tag.GeneralizedTime);

    private static DateTimeOffset ReadTime(AsnReader reader) =>
        reader.PeekTag().HasSameClassAndValue(Asn1Tag.UtcTime) ? reader.ReadUtcTime() : reader.ReadGeneralizedTime();

    private static bool HasSigned(X509Certificate2 authority, string algorithm, ReadOnlySpan<byte> signed, byte[] signature)
    {
        using ECDsa? ecdsa = authority.GetECDsaPublicKey();
        using RSA? rsa = authority.GetRSAPublicKey();
        bool ByEcdsa(ReadOnlySpan<byte> data, HashAlgorithmName hash) =>
            ecdsa?.VerifyData(data, signature, hash, DSASignatureFormat.Rfc3279DerSequence) == true;
        bool ByRsa(ReadOnlySpan<byte> data, HashAlgorithmName hash) =>
            rsa?.VerifyData(data, signature, hash, RSASignaturePadding.Pkcs1) == true;
        return algorithm switch
        {
            EcdsaSha256 => ByEcdsa(signed, HashAlgorithmName.SHA256),
            EcdsaSha384 => ByEcdsa(signed, HashAlgorithmName.SHA384),
            EcdsaSha512 => ByEcdsa(signed, HashAlgorithmName.SHA512),
            RsaSha256 => ByRsa(signed, HashAlgorithmName.SHA256),
            RsaSha384 => ByRsa(signed, HashAlgorithmName.SHA384),
            RsaSha512 => ByRsa(signed, HashAlgorithmName.SHA512),
            _ => throw new CryptographicException($"its signature's algorithm, {algorithm}, is not supported"),
        };
    }
}
