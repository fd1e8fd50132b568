using System.Diagnostics;
using System.Text;
using Vmm.Actors.Migration;
using Vmm.Host.Migration;
using Vmm.Host.Options;
using static Vmm.Host.Tests.Migration.TlsLink;

namespace Vmm.Host.Tests.Migration;

/// <summary>Links with a key that both sides have: between two of ours, and with OpenSSL at either end.</summary>
public sealed class PskTests : IDisposable
{
    private const string Key = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    private const string OtherKey = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

    private readonly string _root = Directory.CreateTempSubdirectory("vmm-psk-").FullName;
    private int _count;

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private string Folder(string? keys)
    {
        string folder = Directory.CreateDirectory(Path.Combine(_root, $"{_count++}")).FullName;
        if (keys != null)
        {
            File.WriteAllText(Path.Combine(folder, "keys.psk"), keys);
        }

        return folder;
    }

    private static MigrationTransport Load(string folder, string side, string more = "") =>
        new(ObjectTable.Of(CommandLine.Parse(["-object", $"tls-creds-psk,id=tls,dir={folder},endpoint={side}{more}"])));

    private MigrationTransport Receiver(string keys = $"anna:{OtherKey}\nqemu:{Key}\n") => Load(Folder(keys), "server");

    private MigrationTransport Sender(string keys = $"qemu:{Key}\n", string more = "") => Load(Folder(keys), "client", more);

    [Fact]
    public async Task Both_sides_with_one_key_talk_both_ways_at_once()
    {
        (object sender, object receiver) = await LinkAsync(Sender(), Receiver());
        await using Stream at = Assert.IsAssignableFrom<Stream>(sender), from = Assert.IsAssignableFrom<Stream>(receiver);
        byte[] there = new byte[40 << 20], back = new byte[40 << 20];
        new Random(1).NextBytes(there);
        new Random(2).NextBytes(back);
        await Task.WhenAll(
            Task.Run(() => at.Write(there)), Task.Run(() => from.Write(back)),
            Task.Run(() => Assert.Equal(back, Read(at, back.Length))), Task.Run(() => Assert.Equal(there, Read(from, there.Length))))
            .WaitAsync(Patience.Limit);
        await at.DisposeAsync();
        Assert.Equal(0, from.Read(new byte[1]));
    }

    private static byte[] Read(Stream stream, int count)
    {
        byte[] bytes = new byte[count];
        stream.ReadExactly(bytes);
        return bytes;
    }

    /// <summary>An actor cuts a link while threads wait in it.</summary>
    [Fact]
    public async Task Stream_that_is_closed_ends_whoever_reads_or_writes()
    {
        (object sender, object receiver) = await LinkAsync(Sender(), Receiver());
        await using Stream at = Assert.IsAssignableFrom<Stream>(sender), from = Assert.IsAssignableFrom<Stream>(receiver);
        Task reading = Task.Run(() => at.Read(new byte[1]));
        Task writing = Task.Run(() =>
        {
            while (true)
            {
                at.Write(new byte[1 << 20]);
            }
        });
        await Task.Delay(300);
        await at.DisposeAsync();
        await Assert.ThrowsAnyAsync<IOException>(() => writing.WaitAsync(Patience.Limit));
        await Task.WhenAny(reading).WaitAsync(Patience.Limit);
    }

    [Fact]
    public async Task User_is_chosen_by_name()
    {
        (object sender, object receiver) = await LinkAsync(Sender($"anna:{OtherKey}\n", ",username=anna"), Receiver());
        await using Stream at = Assert.IsAssignableFrom<Stream>(sender), from = Assert.IsAssignableFrom<Stream>(receiver);
    }

    [Fact]
    public async Task Other_key_is_refused_and_both_sides_say_so()
    {
        (object sender, object receiver) = await LinkAsync(Sender($"qemu:{OtherKey}\n"), Receiver());
        Assert.Equal("TLS handshake with the receiver failed: the other side says the keys of the two sides differ (keys.psk)", sender);
        Assert.Equal("TLS handshake with the sender failed: the keys of the two sides differ (keys.psk)", receiver);
    }

    [Fact]
    public async Task Unknown_user_is_refused_and_both_sides_say_so()
    {
        (object sender, object receiver) = await LinkAsync(Sender($"eve:{Key}\n", ",username=eve"), Receiver());
        Assert.Equal("TLS handshake with the receiver failed: the other side says it has no key of such a user (keys.psk)", sender);
        Assert.Equal("TLS handshake with the sender failed: it has no key of such a user (keys.psk)", receiver);
    }

    [Fact]
    public async Task Receiver_with_certificates_is_none_for_a_sender_with_a_key_nor_the_other_way_round()
    {
        using var certificates = new TestCertificates();
        (object sender, object receiver) = await LinkAsync(
            Sender(), TestCertificates.Transport(certificates.Folder("server", "127.0.0.1"), "server", ",verify-peer=off"));
        Assert.StartsWith("TLS handshake with the receiver failed: ", Assert.IsType<string>(sender), StringComparison.Ordinal);
        Assert.StartsWith("TLS handshake with the sender failed: ", Assert.IsType<string>(receiver), StringComparison.Ordinal);
        (sender, receiver) = await LinkAsync(
            TestCertificates.Transport(certificates.Folder("client", "c.example"), "client", ",verify-peer=off"), Receiver());
        Assert.StartsWith("TLS handshake with the receiver failed: ", Assert.IsType<string>(sender), StringComparison.Ordinal);
        Assert.Equal("TLS handshake with the sender failed: it closed the link, or offers no key of TLS 1.3", receiver);
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

    [Theory]
    [InlineData(Key, true)]
    [InlineData(OtherKey, false)]
    public async Task OpenSSL_as_the_sender_is_let_in_by_its_key(string key, bool fits)
    {
        await using IMigrationListener listener = Receiver().Parse($"unix:{_root}/s", "tls", "").Listen();
        Task<Stream> accepting = listener.AcceptAsync(CancellationToken.None);
        using Process client = OpenSsl("s_client", key);
        object accepted = await ResultAsync(accepting);
        if (fits)
        {
            await using Stream stream = Assert.IsAssignableFrom<Stream>(accepted);
            await TalkAsync(stream, client);
        }
        else
        {
            Assert.Equal("TLS handshake with the sender failed: the keys of the two sides differ (keys.psk)", accepted);
        }

        client.Kill();
        await client.WaitForExitAsync();
    }

    [Theory]
    [InlineData(Key, true)]
    [InlineData(OtherKey, false)]
    public async Task OpenSSL_as_the_receiver_is_known_by_its_key(string key, bool fits)
    {
        using Process server = OpenSsl("s_server", key, "-nocert");
        Assert.True(SpinWait.SpinUntil(() => File.Exists($"{_root}/s"), Patience.Limit));
        object connected = "";
        using var patience = new CancellationTokenSource(Patience.Limit);
        do
        {
            // The file is there a moment before somebody listens.
            connected = await ResultAsync(Sender().Parse($"unix:{_root}/s", "tls", "").ConnectAsync(patience.Token));
        }
        while (connected is string refusal && refusal.Contains("Connection refused", StringComparison.Ordinal));

        if (fits)
        {
            await using Stream stream = Assert.IsAssignableFrom<Stream>(connected);
            await TalkAsync(stream, server);
        }
        else
        {
            Assert.StartsWith("TLS handshake with the receiver failed: the other side says ", Assert.IsType<string>(connected),
                StringComparison.Ordinal);
        }

        server.Kill();
        await server.WaitForExitAsync();
    }

    private Process OpenSsl(string role, string key, params string[] more) => Process.Start(new ProcessStartInfo(
        "openssl", [role, "-unix", $"{_root}/s", "-tls1_3", "-psk_identity", "qemu", "-psk", key, "-quiet", .. more])
    {
        RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
    })!;

    private static async Task TalkAsync(Stream stream, Process openssl)
    {
        await openssl.StandardInput.WriteAsync("from OpenSSL\n");
        await openssl.StandardInput.FlushAsync();
        byte[] read = await Task.Run(() => Read(stream, 13)).WaitAsync(Patience.Limit);
        Assert.Equal("from OpenSSL\n", Encoding.ASCII.GetString(read));
        stream.Write("from Vmm\n"u8);
        Assert.Equal("from Vmm", await openssl.StandardOutput.ReadLineAsync().WaitAsync(Patience.Limit));
    }

    [Fact]
    public void Files_that_are_missing_or_damaged_are_refused_at_the_start()
    {
        Assert.EndsWith("keys.psk: No such file or directory", Refusal(null));
        Assert.Contains("is empty", Refusal(""), StringComparison.Ordinal);
        Assert.EndsWith("line 2: 'username:key' is expected, the key in hexadecimal digits", Refusal($"qemu:{Key}\nnobody\n"));
        Assert.EndsWith("line 1: 'username:key' is expected, the key in hexadecimal digits", Refusal("qemu:\n"));
        Assert.EndsWith("line 1: 'username:key' is expected, the key in hexadecimal digits", Refusal($":{Key}\n"));
        Assert.EndsWith("line 3: the key is not an even number of hexadecimal digits", Refusal($"qemu:{Key}\n\nx:12g4"));
        Assert.EndsWith("line 1: the key is not an even number of hexadecimal digits", Refusal("qemu:123"));
        Assert.EndsWith("line 2: the user has a key already", Refusal($"qemu:{Key}\nqemu:{Key}"));
        string folder = Folder(null);
        Directory.CreateDirectory(Path.Combine(folder, "keys.psk"));
        Assert.Contains("keys.psk", Assert.Throws<OptionException>(() => Load(folder, "server")).Message, StringComparison.Ordinal);
        Assert.EndsWith("keys.psk", Assert.Throws<OptionException>(() => Load(Folder($"a:{Key}"), "client", ",username=b")).Message);
        Assert.StartsWith(
            "Username qemu not found in PSK file ", Assert.Throws<OptionException>(() => Load(Folder($"a:{Key}"), "client")).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void File_that_cannot_be_read_is_refused_at_the_start()
    {
        string folder = Folder($"qemu:{Key}");
        File.Delete(Path.Combine(folder, "keys.psk"));

        // Root reads every file but those of which the kernel says no.
        File.CreateSymbolicLink(Path.Combine(folder, "keys.psk"), "/proc/self/mem");
        string said = Assert.Throws<OptionException>(() => Load(folder, "server")).Message;
        Assert.Contains("keys.psk", said, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', said);
    }

    private string Refusal(string? keys)
    {
        string said = Assert.Throws<OptionException>(() => Load(Folder(keys), "server")).Message;
        Assert.DoesNotContain('\n', said);
        Assert.DoesNotContain(Key, said, StringComparison.Ordinal);
        return said;
    }
}
