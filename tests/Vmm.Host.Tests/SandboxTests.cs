using System.Globalization;
using System.Text.Json.Nodes;
using Vmm.Emulation;
using Vmm.Host.Options;
using Vmm.Host.Tests.Migration;

namespace Vmm.Host.Tests;

/// <summary>What a VM's process gives up (<c>-sandbox</c>).</summary>
public sealed class SandboxTests : IDisposable
{
    private const HostCalls Always = HostCalls.Administration | HostCalls.Obsolete;

    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-sandbox-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("off", HostCalls.None)]
    [InlineData("off,spawn=deny", HostCalls.None)]
    [InlineData("on", Always)]
    [InlineData("enable=on,obsolete=allow", HostCalls.Administration)]
    [InlineData("on,elevateprivileges=children,spawn=allow", Always)]
    [InlineData("on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        Always | HostCalls.ElevatePrivileges | HostCalls.Spawn | HostCalls.ResourceControl)]
    public void Members_are_those_of_QEMU(string text, HostCalls denied) => Assert.Equal(denied, SandboxOption.Parse(text).Denied);

    [Theory]
    [InlineData("maybe", "Parameter 'enable' expects 'on' or 'off'")]
    [InlineData("on,foo=1", "Invalid parameter 'foo'")]
    [InlineData("on,spawn=maybe", "invalid argument for spawn")]
    [InlineData("on,spawn=children", "invalid argument for spawn")]
    public void What_is_wrong_is_refused_in_the_words_of_QEMU(string text, string words) =>
        Assert.Equal(words, Assert.Throws<OptionException>(() => SandboxOption.Parse(text)).Message);

    [Fact]
    public async Task VM_in_a_sandbox_runs_and_starts_no_program()
    {
        await using VmWithQmp vm = await VmWithQmp.StartAsync(
            _folder, "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
        await vm.UntilAsync("query-status", s => s["status"]!.ToString() == "running");

        // proc(5), seccomp(2): 2 is a filter, which all threads have.
        foreach (string thread in Directory.EnumerateDirectories($"/proc/{vm.ProcessId}/task"))
        {
            string[] status = await File.ReadAllLinesAsync($"{thread}/status");
            Assert.Equal([1, 2], new[] { "NoNewPrivs:", "Seccomp:" }.Select(name => int.Parse(
                status.Single(l => l.StartsWith(name, StringComparison.Ordinal)).Split('\t')[1], CultureInfo.InvariantCulture)));
        }

        await vm.Qmp.AskAsync("stop");
        await vm.Qmp.AskAsync("cont");
        await vm.Qmp.AskAsync("migrate", new JsonObject { ["uri"] = "exec:cat > /dev/null" });
        JsonNode failed = await vm.UntilAsync("query-migrate", a => a["status"]?.ToString() == "failed");
        Assert.Equal("cannot start 'cat > /dev/null': Operation not permitted", failed["error-desc"]?.ToString());
        Assert.Equal("running", await vm.StatusAsync());
        await vm.Qmp.AskAsync("migrate", new JsonObject { ["uri"] = $"file:{Path.Combine(_folder, "saved")}" });
        await vm.UntilMigrationAsync("completed");
    }
}
