using System.Diagnostics;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Nodes;

namespace Vmm.Fleet.Tests.Rest;

/// <summary><c>vmm node</c> and <c>vmm fleet</c>, each the program itself.</summary>
public sealed class NodeCommandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-").FullName;
    private string _server = "";

    public void Dispose() => LocalFleet.RemoveNodes(_folder);

    private async Task<Process> StartNodeAsync()
    {
        string config = Path.Combine(_folder, "config");
        await File.WriteAllTextAsync(
            config, $$"""{ "name": "node1", "folder": "{{_folder}}", "listen": ["http://127.0.0.1:0"] } // a comment""");
        Process node = VmmProcess.Start(["node", "--config", config, "--log", "warning"]);
        string? line = await node.StandardOutput.ReadLineAsync().WaitAsync(Patience.Limit);
        Assert.True(line?.StartsWith("node node1: http://127.0.0.1:", StringComparison.Ordinal) == true,
            $"{line} {(line == null ? await node.StandardError.ReadToEndAsync() : "")}");
        _server = line!.Split(' ')[^1];
        return node;
    }

    private Task<(int ExitCode, string Output, string Errors)> FleetAsync(params string[] words) =>
        VmmProcess.RunAsync(["fleet", .. words, "--server", _server, "--token-file", Path.Combine(_folder, "tokens")]);

    private async Task<string> StateAsync()
    {
        (int code, string output, string errors) = await FleetAsync("list");
        Assert.Equal((0, ""), (code, errors));
        return output.Split('\n').First(line => line.StartsWith("vm1 ", StringComparison.Ordinal))
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)[2];
    }

    private async Task AwaitAsync(string state)
    {
        for (var start = Stopwatch.StartNew(); await StateAsync() is var now && now != state;)
        {
            Assert.True(start.Elapsed < Patience.Limit, $"{now}, not {state}");
        }
    }

    [Fact]
    public async Task VM_outlives_a_kill_of_its_node_and_is_the_next_ones()
    {
        string image = IdleGuest.WriteImage(_folder);
        using (Process node = await StartNodeAsync())
        {
            try
            {
                Assert.Equal((0, "vm1 is at node1\n", ""), await FleetAsync(
                    "create", "vm1", "--kernel", image, "--memory", "64M", "--max-cpus", "4"));
                Assert.Equal((0, "done\n", ""), await FleetAsync("start", "vm1"));
                await AwaitAsync("Running");
                Assert.Equal((0, "done\n", ""), await FleetAsync("snapshot", "vm1", "first"));
                (_, string policy, _) = await FleetAsync("policy", "vm1", "--maximum", "4", "--down-after", "60");
                Assert.StartsWith("1 to 4 CPUs, target 0.6, ", policy, StringComparison.Ordinal);
                Assert.Equal((0, policy, ""), await FleetAsync("policy", "vm1"));
                Assert.Equal((1, "", "vmm: give --maximum, too: the most CPUs\n"), await FleetAsync("policy", "vm1", "--minimum", "2"));
                Assert.Equal((0, "no policy\n", ""), await FleetAsync("policy", "vm1", "--off"));
                (_, string quota, _) = await FleetAsync("quota", "admin", "--cpus", "1");
                Assert.StartsWith("admin: 1 of 1 CPUs; ", quota, StringComparison.Ordinal);
                Assert.Equal(
                    (1, "rejected: owner 'admin' may have 1 CPUs and has 1: 1 more for VM 'vm1' would be over quota\n", ""),
                    await FleetAsync("plug", "vm1", "1"));
                (int billed, string invoice, _) = await FleetAsync("invoice", "admin");
                Assert.Equal(0, billed);
                Assert.StartsWith("owner,day,vm,", invoice, StringComparison.Ordinal);
                Assert.Equal(
                    (1, "failed: Snapshot 'second' does not exist\n", ""), await FleetAsync("restore", "vm1", "second"));
                Assert.Equal((1, "", "vmm: there is no node 'node2' now\n"), await FleetAsync("migrate", "vm1", "node2"));
                Assert.Equal((1, "", "vmm: there is no VM 'vm2'\n"), await FleetAsync("start", "vm2"));
            }
            finally
            {
                node.Kill();
                await node.WaitForExitAsync();
            }
        }

        using (Process node = await StartNodeAsync())
        {
            try
            {
                await AwaitAsync("Running");
                Assert.Equal((0, "done: the process was told to end\n", ""), await FleetAsync("stop", "vm1", "--power-down", "0"));
                Assert.Equal((0, "done\n", ""), await FleetAsync("restore", "vm1", "first"));
                await AwaitAsync("Running");
                Assert.Equal((0, "done\n", ""), await FleetAsync("rm", "vm1"));
                using Process terminate = Process.Start("kill", [$"{node.Id}"]);
                await node.WaitForExitAsync().WaitAsync(Patience.Limit);
                Assert.Equal(0, node.ExitCode);
            }
            finally
            {
                if (!node.HasExited)
                {
                    node.Kill();
                    await node.WaitForExitAsync();
                }
            }
        }

        (int code, _, string said) = await FleetAsync("list");
        Assert.Equal(1, code);
        Assert.StartsWith($"vmm: no node answers at {_server}", said, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "is empty|The input does not contain any JSON")]
    [InlineData("""{"name":"node1"}""", "folder")]
    [InlineData("""{"name":"node1","folder":"here"}""", "folder: give a whole path")]
    [InlineData("""{"name":"Node","folder":"/x"}""", "name: a node is called")]
    [InlineData("""{"name":"node1","folder":"/x","color":"red"}""", "color")]
    public async Task Config_that_is_wrong_says_what(string text, string said)
    {
        string config = Path.Combine(_folder, "config");
        await File.WriteAllTextAsync(config, text);
        (int code, _, string errors) = await VmmProcess.RunAsync(["node", "--config", config]);
        Assert.Equal(1, code);
        Assert.StartsWith("vmm: ", errors, StringComparison.Ordinal);
        Assert.Contains(said.Split('|'), part => errors.Contains(part, StringComparison.Ordinal));
    }
}
