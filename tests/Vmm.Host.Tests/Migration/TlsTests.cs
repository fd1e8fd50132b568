using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Vmm.Actors.Migration;
using Vmm.Host.Migration;
using Vmm.Host.Options;
using static Vmm.Host.Tests.Migration.TlsLink;

namespace Vmm.Host.Tests.Migration;

/// <summary>Links that are encrypted, with certificates of every kind of wrongness: each ends both sides in one line.</summary>
public sealed class TlsTests : IDisposable
{
    private readonly TestCertificates _ours = new();
    private readonly TestCertificates _others = new();

    public void Dispose()
    {
        _ours.Dispose();
        _others.Dispose();
    }

    private MigrationTransport Receiver(string host = "127.0.0.1", string more = "") =>
        TestCertificates.Transport(_ours.Folder("server", host), "server", more);

    private MigrationTransport Sender(string more = "") => TestCertificates.Transport(_ours.Folder("client", "c.example"), "client", more);

    [Theory]
    [InlineData("127.0.0.1", "")]
    [InlineData("vm.example", "vm.example")]
    public async Task Both_sides_with_certificates_of_one_authority_talk_by_TLS_1_3(string host, string hostname)
    {
        (object sender, object receiver) = await LinkAsync(Sender(), Receiver(host), hostname);
        await using SslStream at = Assert.IsType<SslStream>(sender), from = Assert.IsType<SslStream>(receiver);
        Assert.Equal(System.Security.Authentication.SslProtocols.Tls13, at.SslProtocol);
        Assert.True(from.IsMutuallyAuthenticated);
        await at.WriteAsync(Encoding.ASCII.GetBytes("there"));
        await from.WriteAsync(Encoding.ASCII.GetBytes("back!"));
        byte[] read = new byte[5];
        await from.ReadExactlyAsync(read).AsTask().WaitAsync(Patience.Limit);
        Assert.Equal("there", Encoding.ASCII.GetString(read));
        await at.ReadExactlyAsync(read).AsTask().WaitAsync(Patience.Limit);
        Assert.Equal("back!", Encoding.ASCII.GetString(read));
    }

    [Fact]
    public async Task Receiver_for_another_host_is_refused()
    {
        (object sender, object receiver) = await LinkAsync(Sender(), Receiver("other.example"));
        Assert.Equal("TLS handshake with the receiver failed: the certificate of the receiver is for other.example, not for '127.0.0.1' "
            + "(tls-hostname)", sender);
        Assert.IsType<string>(receiver);
    }

    [Fact]
    public async Task Receiver_of_another_authority_is_refused()
    {
        MigrationTransport receiver = TestCertificates.Transport(_others.Folder("server", "127.0.0.1", trusted: _ours), "server");
        (object sender, object said) = await LinkAsync(Sender(), receiver);
        Assert.Equal("TLS handshake with the receiver failed: the certificate of the receiver is not signed by the authority of "
            + "ca-cert.pem", sender);
        Assert.IsType<string>(said);
    }

    [Fact]
    public async Task Sender_of_another_authority_is_refused_and_is_told()
    {
        MigrationTransport sender = TestCertificates.Transport(_others.Folder("client", "c.example", trusted: _ours), "client");
        (object said, object receiver) = await LinkAsync(sender, Receiver());
        Assert.Equal("TLS handshake with the sender failed: the certificate of the sender is not signed by the authority of ca-cert.pem",
            receiver);
        Assert.StartsWith("TLS handshake with the receiver failed: ", Assert.IsType<string>(said), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sender_without_a_certificate_is_refused_but_where_peers_are_not_verified()
    {
        MigrationTransport sender = TestCertificates.Transport(_ours.Folder("client", null), "client");
        (object said, object receiver) = await LinkAsync(sender, Receiver());
        Assert.Equal("TLS handshake with the sender failed: the sender has no certificate", receiver);
        Assert.StartsWith("TLS handshake with the receiver failed: ", Assert.IsType<string>(said), StringComparison.Ordinal);
        (object let, object lets) = await LinkAsync(sender, Receiver(more: ",verify-peer=off"));
        await using SslStream one = Assert.IsType<SslStream>(let), other = Assert.IsType<SslStream>(lets);
    }

    [Fact]
    public async Task Sender_that_does_not_verify_takes_any_receiver()
    {
        MigrationTransport receiver = TestCertificates.Transport(_others.Folder("server", "other.example", trusted: _ours), "server");
        (object sender, object said) = await LinkAsync(Sender(",verify-peer=off"), receiver);
        await using SslStream one = Assert.IsType<SslStream>(sender), other = Assert.IsType<SslStream>(said);
    }

    [Fact]
    public async Task Certificates_that_have_expired_are_refused()
    {
        DateTimeOffset yesterday = DateTimeOffset.UtcNow.AddDays(-1);
        MigrationTransport oldReceiver = TestCertificates.Transport(_ours.Folder("server", "127.0.0.1", yesterday), "server");
        (object sender, _) = await LinkAsync(Sender(), oldReceiver);
        Assert.Contains("the certificate of the receiver has expired at ", Assert.IsType<string>(sender), StringComparison.Ordinal);
        MigrationTransport oldSender = TestCertificates.Transport(_ours.Folder("client", "c.example", yesterday), "client");
        (_, object receiver) = await LinkAsync(oldSender, Receiver());
        Assert.Contains("the certificate of the sender has expired at ", Assert.IsType<string>(receiver), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sender_that_speaks_no_TLS_is_refused()
    {
        await using IMigrationListener listener = Receiver().Parse(Address, "tls", "").Listen();
        Task<Stream> accepting = listener.AcceptAsync(CancellationToken.None);
        await using Stream plain = await Sender().Parse(listener.Address, "", "").ConnectAsync(CancellationToken.None);
        await plain.WriteAsync("no ClientHello at all, but text"u8.ToArray());
        Assert.StartsWith("TLS handshake with the sender failed: ", Assert.IsType<string>(await ResultAsync(accepting)),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Handshake_that_waits_ends_when_it_is_cancelled()
    {
        await using IMigrationListener listener = Receiver().Parse(Address, "tls", "").Listen();
        using var stop = new CancellationTokenSource();
        Task<Stream> accepting = listener.AcceptAsync(stop.Token);
        await using Stream silent = await Sender().Parse(listener.Address, "", "").ConnectAsync(CancellationToken.None);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => accepting.WaitAsync(Patience.Limit));
    }

    [Fact]
    public void Credentials_that_do_not_fit_are_refused()
    {
        MigrationTransport sender = Sender();
        Assert.Contains("No TLS credentials with id 'other'", Refusal(() => sender.Parse(Address, "other", "")), StringComparison.Ordinal);
        Assert.Contains("TLS needs a link that goes both ways", Refusal(() => sender.Parse("file:/tmp/x", "tls", "")),
            StringComparison.Ordinal);
        Assert.Contains("Expected TLS credentials for a server endpoint", Refusal(() => sender.Parse(Address, "tls", "").Listen()),
            StringComparison.Ordinal);
        Assert.Contains("No hostname available for TLS",
            Refusal(() => sender.Parse("unix:/tmp/x", "tls", "").ConnectAsync(default).GetAwaiter().GetResult()), StringComparison.Ordinal);
    }

    // QEMU 10.0.2 says of this certificate: "TLS x509 authz check for C=GB,O=Big\, Org,CN=node one is denied".
    private static X500DistinguishedName Named()
    {
        var name = new X500DistinguishedNameBuilder();
        name.AddCommonName("node one");
        name.AddOrganizationName("Big, Org");
        name.AddCountryOrRegion("GB");
        return name.Build();
    }

    [Theory]
    [InlineData(@"authz-simple,id=who,identity=C=GB,,O=Big\,, Org,,CN=node one", true)]
    [InlineData("authz-simple,id=who,identity=CN=node one", false)]
    [InlineData("authz-list,id=who", false)]
    [InlineData("authz-list,id=who,policy=allow", true)]
    [InlineData("authz-list,id=who,rules.0.match=*CN=node*,rules.0.policy=allow,rules.0.format=glob", true)]
    [InlineData("authz-list,id=who,rules.0.match=*CN=node*,rules.0.policy=allow", false)]
    [InlineData("authz-list,id=who,rules.0.match=*one,rules.0.policy=deny,rules.0.format=glob,rules.1.match=*,rules.1.policy=allow,"
        + "rules.1.format=glob", false)]
    [InlineData("""{"qom-type":"authz-list","id":"who","rules":[{"match":"*one","policy":"allow","format":"glob"}]}""", true)]
    public async Task Receiver_lets_in_whom_its_authorization_names(string authz, bool isLetIn)
    {
        MigrationTransport sender = TestCertificates.Transport(_ours.Folder("client", "c.example", subject: Named()), "client");
        MigrationTransport receiver = TestCertificates.Transport(_ours.Folder("server", "127.0.0.1"), "server", "", authz);
        (object said, object receives) = await LinkAsync(sender, receiver, authz: "who");
        if (isLetIn)
        {
            await using SslStream one = Assert.IsType<SslStream>(said), other = Assert.IsType<SslStream>(receives);
            return;
        }

        Assert.Equal(
            @"TLS handshake with the sender failed: TLS x509 authz check for C=GB,O=Big\, Org,CN=node one is denied", receives);
        Assert.StartsWith("TLS handshake with the receiver failed: ", Assert.IsType<string>(said), StringComparison.Ordinal);
    }

    [Fact]
    public void Authorization_that_cannot_be_asked_is_refused()
    {
        const string Simple = "authz-simple,id=who,identity=CN=x";
        string folder = _ours.Folder("server", "127.0.0.1");
        Assert.Contains("No authorization object with id 'other'",
            Refusal(() => TestCertificates.Transport(folder, "server", "", Simple).Parse(Address, "tls", "", "other")),
            StringComparison.Ordinal);
        Assert.Contains("tls-creds-x509 with verify-peer=on",
            Refusal(() => TestCertificates.Transport(folder, "server", ",verify-peer=off", Simple).Parse(Address, "tls", "", "who")),
            StringComparison.Ordinal);
    }

    private static string Refusal(Action action) => Record.Exception(action) is FormatException or IOException
        ? Record.Exception(action)!.Message
        : throw new Xunit.Sdk.XunitException("it was not refused");

    [Fact]
    public void Folders_that_lack_a_file_or_have_a_damaged_one_are_refused_at_the_start()
    {
        string folder = _ours.Folder("server", "h");
        Assert.Contains("Unable to access credentials /nonexistent/ca-cert.pem: No such file or directory", Load("/nonexistent"),
            StringComparison.Ordinal);
        Assert.Contains("server-cert.pem: No such file or directory", Load(_ours.Folder("client", "h")), StringComparison.Ordinal);
        File.WriteAllText(Path.Combine(folder, "ca-crl.pem"), "");
        Assert.Contains("it is no list of revoked certificates in PEM", Load(folder), StringComparison.Ordinal);
        _others.WriteRevoked(folder);
        Assert.Contains("it was not signed by the authority", Load(folder), StringComparison.Ordinal);
        File.Delete(Path.Combine(folder, "ca-crl.pem"));
        File.WriteAllText(Path.Combine(folder, "server-key.pem"), "nothing");
        Assert.Contains("Unable to import the certificates in ", Load(folder), StringComparison.Ordinal);
    }

    /// <summary>Each side refuses a certificate that is revoked while it has its credentials, and takes one that was renewed.</summary>
    [Fact]
    public async Task Revoked_certificates_are_refused_and_renewed_ones_taken_without_a_restart()
    {
        string at = _ours.Folder("server", "127.0.0.1"), from = _ours.Folder("client", "c.example");
        MigrationTransport receiver = TestCertificates.Transport(at, "server"), sender = TestCertificates.Transport(from, "client");
        await using (var first = Assert.IsType<SslStream>((await LinkAsync(sender, receiver)).Sender))
        {
            Assert.True(first.IsAuthenticated);
        }

        _ours.WriteRevoked(at, Path.Combine(from, "client-cert.pem"));
        await Patience.UntilAsync(async () => (await LinkAsync(sender, receiver)).Receiver is string said
            && said.StartsWith("TLS handshake with the sender failed: the certificate of the sender was revoked at ",
                StringComparison.Ordinal), "the list is read");
        string renewed = _ours.Folder("client", "c.example");
        foreach (string file in (string[])["client-key.pem", "client-cert.pem"])
        {
            File.Copy(Path.Combine(renewed, file), Path.Combine(from, file), overwrite: true);
        }

        await Patience.UntilAsync(async () => (await LinkAsync(sender, receiver)).Receiver is SslStream, "the renewed one is read");
        _ours.WriteRevoked(from, Path.Combine(at, "server-cert.pem"));
        await Patience.UntilAsync(async () => (await LinkAsync(sender, receiver)).Sender is string said
            && said.StartsWith("TLS handshake with the receiver failed: the certificate of the receiver was revoked at ",
                StringComparison.Ordinal), "the list of the sender is read");
    }

    private static string Load(string folder)
    {
        string said = Assert.Throws<OptionException>(() => TestCertificates.Transport(folder, "server")).Message;
        Assert.DoesNotContain('\n', said);
        return said;
    }

    [Theory]
    [InlineData("tls-creds-x509,id=a", "Missing 'dir' property value")]
    [InlineData("tls-creds-x509,id=a,dir=/x,endpoint=foo", "Parameter 'endpoint' does not accept value 'foo'")]
    [InlineData("tls-creds-x509,id=a,dir=/x,verify-peer=maybe", "Parameter 'verify-peer' expects 'on' or 'off'")]
    [InlineData("tls-creds-x509,id=a,dir=/x,priority=NORMAL", "not supported: priority")]
    [InlineData("tls-creds-x509,id=a,dir=/x,passwordid=p", "not supported: passwordid")]
    [InlineData("tls-creds-x509,id=a,dir=/x,foo=1", "Property 'tls-creds-x509.foo' not found")]
    [InlineData("tls-creds-psk,id=a", "Missing 'dir' property value")]
    [InlineData("tls-creds-psk,id=a,dir=/x,endpoint=foo", "Parameter 'endpoint' does not accept value 'foo'")]
    [InlineData("tls-creds-psk,id=a,dir=/x,endpoint=server,username=u", "username should not be set when endpoint=server")]
    [InlineData("tls-creds-psk,id=a,dir=/x,username=", "Parameter 'username' expects a name without a colon, not ''")]
    [InlineData("tls-creds-psk,id=a,dir=/x,username=a:b", "Parameter 'username' expects a name without a colon, not 'a:b'")]
    [InlineData("tls-creds-psk,id=a,dir=/x,verify-peer=maybe", "Parameter 'verify-peer' expects 'on' or 'off'")]
    [InlineData("tls-creds-psk,id=a,dir=/x,priority=NORMAL", "not supported: priority")]
    [InlineData("tls-creds-psk,id=a,dir=/x,passwordid=p", "Property 'tls-creds-psk.passwordid' not found")]
    [InlineData("tls-creds-anon,id=a", "not supported: an object of type 'tls-creds-anon'")]
    [InlineData("authz-pam,id=a", "not supported: an object of type 'authz-pam'")]
    [InlineData("authz-simple,id=a", "Parameter 'identity' is missing")]
    [InlineData("authz-simple,id=a,identity=CN=x,policy=allow", "Property 'authz-simple.policy' not found")]
    [InlineData("authz-list,id=a,policy=maybe", "Parameter 'policy' does not accept value 'maybe'")]
    [InlineData("authz-list,id=a,rules.0.match=CN=x", "Parameter 'rules.0.policy' is missing")]
    [InlineData("authz-list,id=a,rules.0.policy=deny", "Parameter 'rules.0.match' is missing")]
    [InlineData("authz-list,id=a,rules.0.match=x,rules.0.policy=deny,rules.0.format=regex",
        "Parameter 'format' does not accept value 'regex'")]
    [InlineData("authz-list,id=a,rules.x.match=y", "Property 'authz-list.rules.x.match' not found")]
    [InlineData("authz-list,id=a,identity=y", "Property 'authz-list.identity' not found")]
    public void Object_wrong_says_what(string value, string message) => Assert.Contains(
        message, Assert.Throws<OptionException>(() => CommandLine.Parse(["-object", value])).Message, StringComparison.Ordinal);
}
