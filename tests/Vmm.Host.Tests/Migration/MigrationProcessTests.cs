using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Vmm.Host.Guest;

namespace Vmm.Host.Tests.Migration;

/// <summary>Two processes of the program, as people and programs start them, and a machine that moves from one to the other.</summary>
public sealed class MigrationProcessTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-move-").FullName;
    private readonly TestCertificates _certificates = new();

    public void Dispose()
    {
        _certificates.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private string At(string name) => Path.Combine(_folder, name);

    private static JsonObject To(string uri) => new() { ["uri"] = uri };

    private static Task<JsonNode> SetAsync(VmWithQmp vm, string capability) => vm.Qmp.AskAsync("migrate-set-capabilities", new JsonObject
    {
        ["capabilities"] = new JsonArray(new JsonObject { ["capability"] = capability, ["state"] = true }),
    });

    private static async Task<string> AddressAsync(VmWithQmp receiver)
    {
        JsonNode socket = (await receiver.UntilAsync("query-migrate", a => a["socket-address"] != null))["socket-address"]![0]!;
        return socket["type"]!.ToString() == "unix" ? $"unix:{socket["path"]}" : $"tcp:{socket["host"]}:{socket["port"]}";
    }

    // The object of one side.
    private string Credentials(string kind, string side)
    {
        File.WriteAllText(At("keys.psk"), $"qemu:{new string('a', 64)}\n");
        return kind == "psk" ? $"tls-creds-psk,id=tls,endpoint={side},dir={_folder}"
            : $"tls-creds-x509,id=tls,endpoint={side},dir={_certificates.Folder(side, side == "server" ? "127.0.0.1" : "c.example")}";
    }

    private static JsonObject Line(string line) => new() { ["command-line"] = line };

    /// <summary>Whoever finds the port of a receiver and is not let in is told of in one line, and the sender comes after it.</summary>
    [Theory]
    [InlineData("tls")]
    [InlineData("psk")]
    public async Task Receiver_with_TLS_turns_strangers_away_and_takes_the_sender(string kind)
    {
        var parameters = new JsonObject { ["tls-creds"] = "tls" };
        await using VmWithQmp receiver = await VmWithQmp.StartAsync(
            _folder, "-incoming", "defer", "-object", Credentials(kind, "server"));
        await receiver.Qmp.AskAsync("migrate-set-parameters", parameters);
        await receiver.Qmp.AskAsync("migrate-incoming", To("tcp:127.0.0.1:0"));
        string address = await AddressAsync(receiver);
        int port = int.Parse(address.Split(':')[^1], CultureInfo.InvariantCulture);
        foreach (int stranger in (int[])[0, 1, 2])
        {
            if (stranger == 0)
            {
                await Assert.ThrowsAsync<IOException>(() => TestCertificates.Transport(_certificates.Folder("client", null), "client")
                    .Parse(address, "tls", "").ConnectAsync(CancellationToken.None));
            }
            else
            {
                using var client = new TcpClient("127.0.0.1", port);
                await client.GetStream().WriteAsync(new byte[stranger == 1 ? 20 : 0]);
            }

            await receiver.UntilSaidAsync("TLS handshake with the sender failed: ");
            Assert.Equal("inmigrate", await receiver.StatusAsync());
        }

        await using VmWithQmp sender = await VmWithQmp.StartAsync(_folder, "-object", Credentials(kind, "client"));
        await sender.UntilAsync("query-status", s => s["status"]!.ToString() == "running");
        await sender.Qmp.AskAsync("migrate-set-parameters", parameters.DeepClone().AsObject());
        await sender.Qmp.AskAsync("migrate", To(address));
        await sender.UntilMigrationAsync("completed");
        await receiver.UntilAsync("query-status", s => s["status"]!.ToString() == "running");
    }

    [Theory]
    [InlineData("tcp")]
    [InlineData("unix")]
    [InlineData("tls")]
    [InlineData("tcp", true)]
    [InlineData("tls", true)]
    [InlineData("psk", true)]
    [InlineData("tls", false, true)]
    [InlineData("psk", false, true)]
    public async Task Machine_moves_and_runs_in_the_other_process_alone(string kind, bool channels = false, bool isLate = false)
    {
        bool tls = kind is "tls" or "psk";
        string[] Option(string side) => tls && !isLate ? ["-object", Credentials(kind, side)] : [];
        await using VmWithQmp sender = await VmWithQmp.StartAsync(_folder, Option("client"));
        await using VmWithQmp receiver = await VmWithQmp.StartAsync(
            _folder,
            ["-incoming", tls || channels ? "defer" : kind == "unix" ? $"unix:{At("s")}" : "tcp:127.0.0.1:0", .. Option("server")]);
        if (isLate)
        {
            await sender.Qmp.AskAsync("human-monitor-command", Line($"object_add {Credentials(kind, "client")}"));
            await receiver.Qmp.AskAsync("human-monitor-command", Line($"object_add {Credentials(kind, "server")}"));
        }

        Assert.Equal("inmigrate", await receiver.StatusAsync());
        await sender.UntilAsync("query-status", s => s["status"]!.ToString() == "running");
        if (tls)
        {
            await sender.Qmp.AskAsync("migrate-set-parameters", new JsonObject { ["tls-creds"] = "tls" });
            await receiver.Qmp.AskAsync("migrate-set-parameters", new JsonObject { ["tls-creds"] = "tls" });
        }

        foreach (VmWithQmp vm in channels ? (VmWithQmp[])[sender, receiver] : [])
        {
            await SetAsync(vm, "multifd");
            await vm.Qmp.AskAsync("migrate-set-parameters", new JsonObject
            {
                ["multifd-channels"] = 3, ["multifd-compression"] = "zstd", ["multifd-zstd-level"] = 2,
            });
        }

        if (tls || channels)
        {
            await receiver.Qmp.AskAsync("migrate-incoming", To("tcp:127.0.0.1:0"));
        }

        await sender.Qmp.AskAsync("migrate", To(await AddressAsync(receiver)));
        JsonNode done = await sender.UntilMigrationAsync("completed");
        Assert.InRange(done["ram"]!["normal"]!.GetValue<long>(), (8 << 20) / 4096, (64 << 20) / 4096);
        Assert.Equal(channels, done["ram"]!["multifd-bytes"]!.GetValue<long>() > 0);
        Assert.Equal("postmigrate", await sender.StatusAsync());
        await receiver.UntilAsync("query-status", s => s["status"]!.ToString() == "running");
    }

    /// <summary>In QEMU 10's words.</summary>
    [Fact]
    public async Task Objects_come_and_go_while_the_VM_runs()
    {
        await using VmWithQmp vm = await VmWithQmp.StartAsync(_folder, "-object", "iothread,id=t");
        Assert.Equal("", await AddAsync("rng-builtin", "r"));
        Assert.Equal("attempt to add duplicate property 'r' to object (type 'container')", await AddAsync("rng-builtin", "r"));
        Assert.Equal("attempt to add duplicate property 't' to object (type 'container')", await AddAsync("rng-builtin", "t"));
        Assert.Equal("Parameter 'qom-type' does not accept value 'nosuch'", await AddAsync("nosuch", "o"));
        Assert.Equal("", await ErrorAsync("object-del", new JsonObject { ["id"] = "r" }));
        Assert.Equal("object 'r' not found", await ErrorAsync("object-del", new JsonObject { ["id"] = "r" }));
        Assert.Equal("", await ErrorAsync("object-del", new JsonObject { ["id"] = "t" }));

        Task<string> AddAsync(string type, string id) => ErrorAsync("object-add", new JsonObject { ["qom-type"] = type, ["id"] = id });

        async Task<string> ErrorAsync(string command, JsonObject arguments)
        {
            try
            {
                await vm.Qmp.AskAsync(command, arguments);
                return "";
            }
            catch (GuestSilentException e)
            {
                return e.Message[$"{command}: ".Length..];
            }
        }
    }

    [Fact]
    public async Task Machine_that_goes_to_a_file_comes_from_it_and_stays_paused_with_S()
    {
        await using (VmWithQmp sender = await VmWithQmp.StartAsync(_folder))
        {
            await sender.UntilAsync("query-status", s => s["status"]!.ToString() == "running");
            await sender.Qmp.AskAsync("migrate", To($"exec:cat > {At("stream")}; mv {At("stream")} {At("saved")}"));
            await sender.UntilMigrationAsync("completed");

            // What was handed over can be handed over once more.
            await sender.Qmp.AskAsync("migrate", To("exec:cat > /dev/null"));
            await sender.UntilMigrationAsync("completed");
            Assert.Equal("postmigrate", await sender.StatusAsync());
        }

        Assert.True(SpinWait.SpinUntil(() => File.Exists(At("saved")), Patience.Limit));
        await using VmWithQmp receiver = await VmWithQmp.StartAsync(_folder, "-S", "-incoming", $"exec:cat {At("saved")}");
        await receiver.UntilMigrationAsync("completed");
        await receiver.UntilAsync("query-status", s => s["status"]!.ToString() == "paused");
        await receiver.Qmp.AskAsync("cont");
        Assert.Equal("running", await receiver.StatusAsync());
    }

    /// <summary>Whoever goes on from a file can go back to it: the file that its RAM is mapped from stays as it is.</summary>
    [Fact]
    public async Task Machine_goes_to_a_mapped_file_and_back_again_and_again()
    {
        VmWithQmp vm = await VmWithQmp.StartAsync(_folder);
        try
        {
            for (int round = 0; round < 3; round++)
            {
                await vm.UntilAsync("query-status", s => s["status"]!.ToString() == "running");
                await SetAsync(vm, "mapped-ram");
                await vm.Qmp.AskAsync("migrate", To($"file:{At("saved")}"));
                JsonNode done = await vm.UntilMigrationAsync("completed");
                Assert.InRange(done["ram"]!["normal"]!.GetValue<long>(), (8 << 20) / 4096, (64 << 20) / 4096);
                VmWithQmp next = await VmWithQmp.StartAsync(_folder, "-incoming", "defer");
                await vm.DisposeAsync();
                vm = next;
                await SetAsync(vm, "mapped-ram");
                await vm.Qmp.AskAsync("migrate-incoming", To($"file:{At("saved")}"));
                await vm.UntilMigrationAsync("completed");
            }
        }
        finally
        {
            await vm.DisposeAsync();
        }

        (int code, string output, string errors) = await VmmProcess.RunAsync(
            [.. VmWithQmp.Machine(_folder), "-monitor", "none", "-incoming", $"file:{At("saved")}"]);
        Assert.Equal(
            (1, "", "vmm: the file was saved with 'mapped-ram': turn that capability on before it is read\n"), (code, output, errors));
    }

    [Theory]
    [InlineData("tcp:1.2.3.4:55", "-incoming tcp:1.2.3.4:55: Failed to listen at '1.2.3.4:55': Cannot assign requested address")]
    [InlineData("file:/nonexistent/x", "-incoming file:/nonexistent/x: Could not open '/nonexistent/x': No such file or directory")]
    [InlineData("exec:echo this is no machine, but a line of some length that any program could have written", "")]
    [InlineData("exec:true", "")]
    public async Task Migration_that_cannot_come_ends_the_program_with_one_line(string address, string message)
    {
        (int code, string output, string errors) = await VmmProcess.RunAsync(
            [.. VmWithQmp.Machine(_folder), "-monitor", "none", "-incoming", address]);
        Assert.Equal((1, ""), (code, output));
        Assert.StartsWith("vmm: ", errors, StringComparison.Ordinal);
        Assert.Single(errors.TrimEnd('\n').Split('\n'));
        Assert.Contains(message, errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Migration_that_may_fail_leaves_the_program_as_it_was()
    {
        await using VmWithQmp receiver = await VmWithQmp.StartAsync(_folder, "-incoming", "defer");
        var arguments = new JsonObject { ["uri"] = "exec:echo this is no machine", ["exit-on-error"] = false };
        await receiver.Qmp.AskAsync("migrate-incoming", arguments);
        JsonNode failed = await receiver.UntilAsync("query-migrate", a => a["status"]?.ToString() == "failed");
        Assert.NotEqual("", failed["error-desc"]?.ToString() ?? "");
        Assert.Equal("inmigrate", await receiver.StatusAsync());
    }

    /// <summary>The monitor's migrate waits, shows how far it is, and says how it failed.</summary>
    [Fact]
    public async Task Migrate_of_a_person_says_how_it_ends()
    {
        await using VmWithQmp receiver = await VmWithQmp.StartAsync(_folder, "-incoming", "tcp:127.0.0.1:0");
        using Process sender = VmmProcess.Start([.. VmWithQmp.Machine(_folder), "-monitor", "stdio"]);
        await sender.StandardInput.WriteLineAsync("migrate tcp:127.0.0.1:1");
        await sender.StandardInput.WriteLineAsync($"migrate {await AddressAsync(receiver)}");
        await sender.StandardInput.WriteLineAsync("info status");
        await sender.StandardInput.FlushAsync();
        string seen = "";
        using var patience = new CancellationTokenSource(Patience.Limit);
        while (!seen.Contains("VM status:", StringComparison.Ordinal))
        {
            string line = await sender.StandardOutput.ReadLineAsync(patience.Token) ?? throw new IOException("the program ended");
            seen += $"{line}\n";
        }

        Assert.Contains("Error: Failed to connect to '127.0.0.1:1': Connection refused", seen, StringComparison.Ordinal);
        Assert.Contains("VM status: paused (postmigrate)", seen, StringComparison.Ordinal);
        sender.Kill();
    }
}
