using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Vmm.Fleet.Certificates;

namespace Vmm.Fleet.Tests.Certificates;

/// <summary>A fleet's own authority, beside openssl's idea of the same certificates.</summary>
public sealed class FleetAuthorityTests : IDisposable
{
    private static readonly DateTimeOffset s_now = DateTimeOffset.UtcNow;
    private static readonly TimeSpan s_year = TimeSpan.FromDays(365);

    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-ca-").FullName;
    private readonly FleetAuthority _authority;

    public FleetAuthorityTests() => _authority = FleetAuthority.Init(_folder, "test", s_now);

    public void Dispose()
    {
        _authority.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private string CaFile => Path.Combine(_folder, FleetAuthority.CertificateFile);

    private string CaKey => Path.Combine(_folder, FleetAuthority.KeyFile);

    private X509Certificate2 Node(string name = "node1", TimeSpan? validFor = null)
    {
        var node = new FleetIdentity(name, CertificateKind.Node, null);
        _authority.Issue(node, ["node1.example", "127.0.0.1"], s_now, validFor ?? s_year);
        return Pair(name);
    }

    private X509Certificate2 Client(string name, FleetRole role)
    {
        _authority.Issue(new FleetIdentity(name, CertificateKind.Client, role), [], s_now, s_year);
        return Pair(name);
    }

    private X509Certificate2 Pair(string name)
    {
        (string certificate, string key) = _authority.FilesOf(name);
        return FleetAuthority.ReadPair(certificate, key);
    }

    private (int Code, string Text) OpenSsl(params string[] arguments)
    {
        using Process openssl = Process.Start(new ProcessStartInfo("openssl", arguments)
        {
            WorkingDirectory = _folder, RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        Task<string> error = openssl.StandardError.ReadToEndAsync();
        string text = openssl.StandardOutput.ReadToEnd() + error.Result;
        openssl.WaitForExit();
        return (openssl.ExitCode, text);
    }

    private string Made(params string[] arguments)
    {
        (int code, string text) = OpenSsl(arguments);
        Assert.True(code == 0, text);
        return text;
    }

    // Options of openssl for a new key.
    private static string[] NewKey(string key) =>
        ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key];

    private void MakeSelfSigned(string name, string uri, string certificate, string key) => Made(
        ["req", "-x509", .. NewKey(key), "-out", certificate, "-subj", $"/CN={name}", "-days", "30", "-addext", $"subjectAltName={uri}"]);

    // A certificate that openssl has made with the key of an issuer.
    private X509Certificate2 MadeBy(string issuer, string issuerKey, string name, params string[] extensions)
    {
        File.WriteAllLines(Path.Combine(_folder, "leaf.ext"), extensions);
        Made(["req", "-new", .. NewKey("leaf.key"), "-out", "leaf.csr", "-subj", $"/CN={name}"]);
        Made("x509", "-req", "-in", "leaf.csr", "-CA", issuer, "-CAkey", issuerKey, "-extfile", "leaf.ext", "-out", "leaf.pem");
        return X509Certificate2.CreateFromPem(File.ReadAllText(Path.Combine(_folder, "leaf.pem")));
    }

    private static string Thrown(Action act) => Assert.Throws<CertificateException>(act).Message;

    private string? ServerRefusal(X509Certificate2 certificate, DateTimeOffset? at = null)
    {
        Assert.Equal(_authority.Trust.Server(certificate, at ?? DateTimeOffset.UtcNow, out string? refusal) == null, refusal != null);
        return refusal;
    }

    private string? ClientRefusal(X509Certificate2 certificate)
    {
        Assert.Equal(_authority.Trust.Client(certificate, DateTimeOffset.UtcNow, out string? refusal) == null, refusal != null);
        return refusal;
    }

    [Fact]
    public void Openssl_takes_a_node_for_a_server_and_a_client_and_reads_what_is_in_its_certificate()
    {
        Node();
        string file = _authority.FilesOf("node1").Certificate;
        foreach (string purpose in new[] { "sslserver", "sslclient" })
        {
            Made("verify", "-x509_strict", "-CAfile", CaFile, "-purpose", purpose, file);
        }

        Made("verify", "-CAfile", CaFile, "-verify_hostname", "node1.example", file);
        Made("verify", "-CAfile", CaFile, "-verify_ip", "127.0.0.1", file);
        Assert.NotEqual(0, OpenSsl("verify", "-CAfile", CaFile, "-verify_hostname", "other.example", file).Code);
        string text = Made("x509", "-in", file, "-noout", "-text");
        Assert.Contains("Subject: CN = node1", text, StringComparison.Ordinal);
        Assert.Contains("Issuer: CN = vmm fleet test", text, StringComparison.Ordinal);
        Assert.Contains("URI:urn:vmm:node", text, StringComparison.Ordinal);
        Assert.Contains("CA:FALSE", text, StringComparison.Ordinal);
        Assert.Contains("pathlen:0", Made("x509", "-in", CaFile, "-noout", "-text"), StringComparison.Ordinal);
    }

    [Fact]
    public void Openssl_takes_a_client_for_no_server()
    {
        Client("alice", FleetRole.Operator);
        string file = _authority.FilesOf("alice").Certificate;
        Made("verify", "-x509_strict", "-CAfile", CaFile, "-purpose", "sslclient", file);
        Assert.NotEqual(0, OpenSsl("verify", "-CAfile", CaFile, "-purpose", "sslserver", file).Code);
    }

    [Fact]
    public void Holders_are_known_with_their_roles()
    {
        using X509Certificate2 node = Node(), alice = Client("alice", FleetRole.Admin), bob = Client("bob", FleetRole.Viewer);
        Assert.Equal(new FleetIdentity("node1", CertificateKind.Node, null), _authority.Trust.Server(node, s_now, out _));
        Assert.Equal(new FleetIdentity("node1", CertificateKind.Node, null), _authority.Trust.Client(node, s_now, out _));
        Assert.Equal(new FleetIdentity("alice", CertificateKind.Client, FleetRole.Admin), _authority.Trust.Client(alice, s_now, out _));
        Assert.Equal(new FleetIdentity("bob", CertificateKind.Client, FleetRole.Viewer), _authority.Trust.Client(bob, s_now, out _));
        Assert.Equal("the certificate of 'alice' is not for a server", ServerRefusal(alice));
        Assert.Null(_authority.Trust.Client(null, s_now, out string? refusal));
        Assert.Equal("there is no certificate", refusal);
    }

    [Fact]
    public void Expired_and_future_certificates_are_refused_with_the_moment()
    {
        using X509Certificate2 node = Node(validFor: TimeSpan.FromDays(1));
        Assert.Equal(
            $"the certificate of 'node1' has expired on {s_now.AddDays(1).UtcDateTime:yyyy-MM-dd HH:mm} UTC",
            ServerRefusal(node, s_now.AddDays(2)));
        Assert.StartsWith("the certificate of 'node1' is valid from ", ServerRefusal(node, s_now.AddDays(-2)), StringComparison.Ordinal);
        (int code, string text) = OpenSsl(
            "verify", "-CAfile", CaFile, "-attime", $"{s_now.AddDays(2).ToUnixTimeSeconds()}", _authority.FilesOf("node1").Certificate);
        Assert.NotEqual(0, code);
        Assert.Contains("expired", text, StringComparison.Ordinal);
    }

    /// <summary>Another authority, made by openssl with the same name as ours, issues a certificate that says all that ours say.</summary>
    [Fact]
    public void Certificates_of_another_authority_are_refused_whatever_it_is_called()
    {
        foreach (string name in new[] { "vmm fleet test", "another" })
        {
            Made(["req", "-x509", .. NewKey("other.key"), "-out", "other.pem", "-subj", $"/CN={name}", "-days", "30"]);
            using X509Certificate2 leaf = MadeBy("other.pem", "other.key", "node1",
                "basicConstraints=critical,CA:FALSE", "extendedKeyUsage=serverAuth,clientAuth", "subjectAltName=URI:urn:vmm:node");
            Assert.Equal("the certificate of 'node1' was not issued by this fleet's authority", ServerRefusal(leaf));
            Assert.Equal("the certificate of 'node1' was not issued by this fleet's authority", ClientRefusal(leaf));
        }
    }

    [Fact]
    public void Self_made_certificates_are_refused()
    {
        MakeSelfSigned("node1", "URI:urn:vmm:node", "self.pem", "self.key");
        using X509Certificate2 self = X509Certificate2.CreateFromPem(File.ReadAllText(Path.Combine(_folder, "self.pem")));
        Assert.Equal("the certificate of 'node1' was made by its holder", ServerRefusal(self));
        Assert.Equal("the certificate of 'node1' was made by its holder", ClientRefusal(self));
    }

    /// <summary>The key of a node signs a certificate for an administrator: it is not one of an authority.</summary>
    [Fact]
    public void What_a_node_has_issued_is_refused()
    {
        using X509Certificate2 node = Node();
        (string certificate, string key) = _authority.FilesOf("node1");
        using X509Certificate2 leaf =
            MadeBy(certificate, key, "mallory", "extendedKeyUsage=clientAuth", "subjectAltName=URI:urn:vmm:role:admin");
        Assert.Equal("the certificate of 'mallory' was not issued by this fleet's authority", ClientRefusal(leaf));
    }

    /// <summary>The authority's key, used by openssl: a certificate of the authority that says nothing of a fleet.</summary>
    [Fact]
    public void A_certificate_without_a_kind_or_with_an_unknown_role_is_refused()
    {
        foreach (string name in new[] { "DNS:x", "URI:urn:vmm:role:root", "URI:urn:vmm:role:Admin", "URI:urn:vmm:role:2" })
        {
            using X509Certificate2 leaf = MadeBy(CaFile, CaKey, "web", "extendedKeyUsage=clientAuth", $"subjectAltName={name}");
            Assert.Equal("the certificate of 'web' is neither a node's nor a client's", ClientRefusal(leaf));
        }
    }

    [Fact]
    [SuppressMessage("Interoperability", "CA1416", Justification = "Vmm runs on Linux alone.")]
    public void Keys_are_in_files_of_mode_600_and_others_are_refused()
    {
        Node();
        string key = _authority.FilesOf("node1").Key;
        Assert.All([CaKey, key], file => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file)));
        File.SetUnixFileMode(CaKey, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead);
        string message = Assert.Throws<CertificateException>(() => FleetAuthority.Open(_folder)).Message;
        Assert.Equal($"{CaKey} may be used by others than its owner (mode 640): chmod 600 {CaKey}", message);
        Assert.Equal([key, _authority.FilesOf("node1").Certificate], Directory.GetFiles(Path.GetDirectoryName(key)!).Order());
    }

    [Fact]
    public void A_renewed_certificate_has_the_same_holder_a_new_key_and_as_much_time()
    {
        using X509Certificate2 old = Node(validFor: TimeSpan.FromDays(40));
        FleetCertificate before = FleetCertificate.Of(old);
        Assert.False(before.IsDue(s_now.AddDays(9)));
        Assert.True(before.IsDue(s_now.AddDays(10)));
        FleetCertificate renewed = _authority.Renew("node1", s_now.AddDays(10));
        using X509Certificate2 pair = Pair("node1");
        Assert.Equal(before.Identity, renewed.Identity);
        Assert.Equal(before.Hosts, renewed.Hosts);
        Assert.InRange((renewed.NotAfter - s_now).TotalDays, 49.99, 50.01);
        Assert.NotEqual(old.GetPublicKeyString(), pair.GetPublicKeyString());
        Assert.NotEqual(before.Serial, renewed.Serial);
        Assert.Null(ServerRefusal(pair, s_now.AddDays(49)));
        Assert.Equal([renewed.Serial], _authority.List().Select(c => c.Serial));
    }

    [Theory]
    [InlineData("a b", "'a b' is no name: letters, digits, '-', '.' and '_' are expected, at most 63, the first a letter or digit")]
    [InlineData("../x", "'../x' is no name: letters, digits, '-', '.' and '_' are expected, at most 63, the first a letter or digit")]
    [InlineData("node1-key", "'node1-key' is no name: it ends in '-key', as files of keys do")]
    [InlineData("node1", "'node1' has a certificate already: vmm fleet ca renew makes another")]
    public void What_cannot_be_issued_is_refused_in_words(string name, string message)
    {
        Node();
        FleetIdentity node = new(name, CertificateKind.Node, null);
        Assert.Equal(message, Assert.Throws<CertificateException>(() => _authority.Issue(node, ["h"], s_now, s_year)).Message);
    }

    [Fact]
    public void Wrong_hosts_and_times_are_refused_in_words()
    {
        string Refusal(CertificateKind kind, string[] hosts, double days)
        {
            var identity = new FleetIdentity("n", kind, kind == CertificateKind.Node ? null : FleetRole.Viewer);
            return Thrown(() => _authority.Issue(identity, hosts, s_now, TimeSpan.FromDays(days)));
        }

        Assert.Equal("node 'n' needs the names or addresses at which it serves", Refusal(CertificateKind.Node, [], 1));
        Assert.Equal("client 'n' serves at no host", Refusal(CertificateKind.Client, ["h"], 1));
        Assert.Equal("'a b' is neither the name nor the address of a host", Refusal(CertificateKind.Node, ["h", "a b"], 1));
        Assert.StartsWith("a certificate until ", Refusal(CertificateKind.Node, ["h"], 4000), StringComparison.Ordinal);
        Assert.Equal("'n' has no certificate: vmm fleet ca issue makes one", Thrown(() => _authority.Renew("n", s_now)));
        Assert.Equal($"{_folder} has an authority already", Thrown(() => FleetAuthority.Init(_folder, "x", s_now)));
        Assert.Equal(
            $"{_folder}/none has no authority: vmm fleet ca init makes one", Thrown(() => FleetAuthority.Open($"{_folder}/none")));
        File.WriteAllText(Path.Combine(_folder, FleetAuthority.IssuedFolder, "bad.pem"), "no certificate");
        Assert.StartsWith($"{_folder}/issued/bad.pem is no certificate", Thrown(() => _authority.List()), StringComparison.Ordinal);
    }

    /// <summary>
    /// All certificates of a holder are revoked at once, as openssl sees it, too; those of others stay, and the name may have another.
    /// </summary>
    [Fact]
    public void Revoked_certificates_are_those_of_one_holder_old_and_new()
    {
        string list = Path.Combine(_folder, FleetAuthority.RevokedFile);
        var trust = FleetTrust.Read(CaFile, list);
        using X509Certificate2 first = Node(), other = Node("node2");
        _authority.Renew("node1", s_now);
        using X509Certificate2 second = Pair("node1");
        File.Copy(_authority.FilesOf("node1").Certificate, Path.Combine(_folder, "second.pem"));
        Assert.Equal([second.SerialNumber, first.SerialNumber], _authority.Revoke("node1", DateTimeOffset.UtcNow));
        Patience.Until(() => trust.Server(second, DateTimeOffset.UtcNow, out _) == null, "the list was read again");
        foreach (X509Certificate2 revoked in new[] { first, second })
        {
            Assert.Null(trust.Server(revoked, DateTimeOffset.UtcNow, out string? refusal));
            Assert.StartsWith("the certificate of 'node1' was revoked on ", refusal, StringComparison.Ordinal);
        }

        Assert.NotNull(trust.Server(other, DateTimeOffset.UtcNow, out _));
        (int code, string text) = OpenSsl("verify", "-crl_check", "-CAfile", CaFile, "-CRLfile", list, "second.pem");
        Assert.NotEqual(0, code);
        Assert.Contains("certificate revoked", text, StringComparison.Ordinal);
        Made("verify", "-crl_check", "-CAfile", CaFile, "-CRLfile", list, _authority.FilesOf("node2").Certificate);
        Assert.Equal("'node1' has no certificate that could be revoked", Thrown(() => _authority.Revoke("node1", s_now)));
        using X509Certificate2 anew = Node();
        Assert.NotNull(trust.Server(anew, DateTimeOffset.UtcNow, out _));
        Made("verify", "-crl_check", "-CAfile", CaFile, "-CRLfile", list, _authority.FilesOf("node1").Certificate);
        Assert.Single(_authority.Revoke("node1", DateTimeOffset.UtcNow));
        Assert.Contains("CRL Number: \n                3", Made("crl", "-in", list, "-noout", "-text"), StringComparison.Ordinal);
    }

    /// <summary>A list of somebody else, or none at all, is refused at the start and changes nothing later.</summary>
    [Fact]
    public void List_of_another_authority_is_refused()
    {
        string list = Path.Combine(_folder, FleetAuthority.RevokedFile), foreign = Path.Combine(_folder, "foreign");
        using X509Certificate2 node = Node();
        using FleetAuthority other = FleetAuthority.Init(foreign, "other", s_now);
        string theirs = Path.Combine(foreign, FleetAuthority.RevokedFile);
        Assert.EndsWith("it was not signed by the authority", Thrown(() => FleetTrust.Read(CaFile, theirs)), StringComparison.Ordinal);
        Assert.Contains("cannot read the list", Thrown(() => FleetTrust.Read(CaFile, $"{list}x")), StringComparison.Ordinal);
        _authority.Revoke("node1", DateTimeOffset.UtcNow);
        var trust = FleetTrust.Read(CaFile, list);
        Assert.Null(trust.Server(node, DateTimeOffset.UtcNow, out _));
        File.Copy(theirs, list, overwrite: true);
        Thread.Sleep(1500);
        Assert.Null(trust.Server(node, DateTimeOffset.UtcNow, out _));
    }

    /// <summary>Mutual TLS with openssl's s_client: a client of the fleet is let in, and a stranger is not.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Openssl_is_let_in_with_a_certificate_of_the_fleet_alone(bool ofFleet)
    {
        using X509Certificate2 node = Node(), alice = Client("alice", FleetRole.Operator);
        (string certificate, string key) = _authority.FilesOf("alice");
        if (!ofFleet)
        {
            (certificate, key) = ("self.pem", "self.key");
            MakeSelfSigned("alice", "URI:urn:vmm:role:operator", certificate, key);
        }

        FleetTrust trust = _authority.Trust;
        FleetIdentity? seen = null;
        string? refusal = null;
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        Task<string> served = ServeAsync();
        using Process openssl = Process.Start(new ProcessStartInfo("openssl",
        [
            "s_client", "-connect", $"{listener.LocalEndpoint}", "-CAfile", CaFile, "-cert", certificate, "-key", key,
            "-verify_return_error", "-verify_ip", "127.0.0.1", "-quiet", "-no_ign_eof",
        ])
        {
            WorkingDirectory = _folder, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        await openssl.StandardInput.WriteLineAsync("hello");
        await openssl.StandardInput.FlushAsync();
        string line = await served.WaitAsync(Patience.Limit);
        openssl.Kill();
        await openssl.WaitForExitAsync().WaitAsync(Patience.Limit);
        Assert.Equal(ofFleet ? "hello" : "refused", line);
        Assert.Equal(ofFleet ? new FleetIdentity("alice", CertificateKind.Client, FleetRole.Operator) : null, seen);
        Assert.Equal(ofFleet ? null : "the certificate of 'alice' was made by its holder", refusal);

        async Task<string> ServeAsync()
        {
            using TcpClient client = await listener.AcceptTcpClientAsync();
            await using var tls = new SslStream(client.GetStream());
            try
            {
                await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
                {
                    ServerCertificate = node, ClientCertificateRequired = true,
                    RemoteCertificateValidationCallback = (_, theirs, _, _) =>
                        (seen = trust.Client(theirs, DateTimeOffset.UtcNow, out refusal)) != null,
                });
                return await new StreamReader(tls).ReadLineAsync() ?? "";
            }
            catch (AuthenticationException)
            {
                return "refused";
            }
        }
    }
}
