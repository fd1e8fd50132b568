using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Text.Json;
using Vmm.Fleet.Certificates;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Nodes;
using Vmm.Fleet.Rest;
using Vmm.Fleet.Tests.Cluster;
using Vmm.Host.Guest;

namespace Vmm.Fleet.Tests.Page;

/// <summary>The page of a node in Debian's Chromium. What people do stands in scripts for Playwright (<c>*.mjs</c>).</summary>
public sealed class PageTests(PostgresServer postgres) : IClassFixture<PostgresServer>
{
    private static string Admin { get; } = new('a', 24);
    private static string Viewer { get; } = new('v', 24);

    internal static string Npm { get; } = typeof(PageTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .Single(a => a.Key == "Npm").Value!;

    private static void WriteTokens(string folder)
    {
        Directory.CreateDirectory(folder);
        PrivateFile.Write(Path.Combine(folder, "tokens"), $"viewer eve {Viewer}\nadmin ada {Admin}\n", isPublic: false);
    }

    /// <summary>Runs a script to its end; what it asks for is done before it is told so.</summary>
    private static async Task RunAsync(
        string script, string server, Func<string, Task> have, params (string Name, string Value)[] variables)
    {
        Assert.True(File.Exists(Path.Combine(Npm, "restored")), $"npm has not brought Playwright to {Npm}: build again with a network");
        var start = new ProcessStartInfo("node")
        {
            ArgumentList = { Path.Combine(AppContext.BaseDirectory, "browser", script) },
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        (string, string)[] all =
        [
            ("PAGE_NPM", Npm), ("PAGE_SERVER", server), ("PAGE_ADMIN", Admin), ("PAGE_VIEWER", Viewer),
            ("PAGE_PATIENCE", Patience.Limit.TotalMilliseconds.ToString(CultureInfo.InvariantCulture)), .. variables,
        ];
        foreach ((string name, string value) in all)
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        try
        {
            while (await process.StandardOutput.ReadLineAsync().WaitAsync(Patience.Limit) is { } what)
            {
                await have(what);
                await process.StandardInput.WriteLineAsync("done");
            }

            await process.WaitForExitAsync();
            Assert.True(process.ExitCode == 0, await errors);
        }
        finally
        {
            process.Kill(entireProcessTree: true);
        }
    }

    private static async Task<(Process Node, string Server)> StartAsync(string folder, int port)
    {
        string config = Path.Combine(folder, "config");
        await File.WriteAllTextAsync(
            config, $$"""{ "name": "node1", "folder": "{{folder}}", "listen": ["http://127.0.0.1:{{port}}"] }""");
        Process node = VmmProcess.Start(["node", "--config", config, "--log", "error"]);
        string? line = await node.StandardOutput.ReadLineAsync().WaitAsync(Patience.Limit);
        Assert.True(line != null, line == null ? await node.StandardError.ReadToEndAsync() : "");
        return (node, line!.Split(' ')[^1]);
    }

    private static async Task EndAsync(Process node)
    {
        using Process terminate = Process.Start("kill", [$"{node.Id}"]);
        await node.WaitForExitAsync().WaitAsync(Patience.Limit);
    }

    [BrowserFact]
    public async Task Guest_is_created_typed_at_plugged_and_found_again_in_the_page()
    {
        GuestFiles files = await GuestAssets.EnsureAsync(new GuestKernel(GuestFlavour.Cloud));
        string folder = Directory.CreateTempSubdirectory("vmm-").FullName;
        WriteTokens(folder);
        (Process node, string server) = await StartAsync(folder, 0);
        try
        {
            await RunAsync("guest.mjs", server, async what =>
            {
                if (what == "end")
                {
                    await EndAsync(node);
                }
                else
                {
                    Assert.Equal("start", what);
                    (node, _) = await StartAsync(folder, new Uri(server).Port);
                }
            }, ("PAGE_KERNEL", files.Kernel), ("PAGE_INITRD", files.Initramfs));
            await EndAsync(node);
        }
        finally
        {
            node.Kill();
            await node.WaitForExitAsync();
            node.Dispose();
            LocalFleet.RemoveNodes(folder);
        }
    }

    [BrowserFact]
    public async Task VM_is_migrated_in_the_page_and_watched_at_its_new_node()
    {
        using var fleet = new TestFleet(postgres.NewDatabase(), 2);
        string image = Path.Combine(fleet.FolderOf(1), "writer");
        WriteTokens(fleet.FolderOf(1));
        await File.WriteAllBytesAsync(image, RunningVms.Writer);
        using NodeProcess first = await NodeProcess.StartAsync(fleet, 1);
        using NodeProcess second = await NodeProcess.StartAsync(fleet, 2);
        await first.AwaitAsync("/v1/nodes", nodes => nodes.AsArray().Count == 2);
        VmSpec spec = fleet.Idle with { Kernel = image };
        await first.PostAsync("/v1/vms", JsonSerializer.Serialize(
            new NewVm("vm1", spec, Node: "node1"), RestJson.Default.NewVm));
        Assert.Equal("Done", (string?)(await first.DoAsync("vm1", """{"action":"Start"}"""))["outcome"]);
        await RunAsync("nodes.mjs", first.Server, _ => throw new InvalidOperationException());
    }
}
