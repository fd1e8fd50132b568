using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Vmm.Management.Tests.Qmp;
using Vmm.Tests;

namespace Vmm.Guest.Tests;

/// <summary>Programs at the monitor of a VM with a Debian kernel.</summary>
public sealed partial class QmpTests
{
    private const string Outcome = "__org.vmm_HOTPLUG_OUTCOME";

    // Events that came before an answer.
    private readonly List<JsonNode> _events = [];

    [Fact]
    public async Task Program_plugs_and_unplugs_and_hears_of_everything()
    {
        await using ShellVm vm = await ShellVm.BootAsync("cortex-a57", 2, 4, append: "nokaslr");
        using QmpTestClient client = await QmpTestClient.NegotiateAsync(vm.ServeQmp());

        // As libvirt does: a slot is taken as it is offered.
        JsonNode slot = (await Ask(client, "query-hotpluggable-cpus"))!.AsArray().Last(s => s!["qom-path"] == null)!;
        var arguments = new JsonObject { ["driver"] = slot["type"]!.DeepClone(), ["id"] = "new" };
        foreach ((string level, JsonNode? value) in slot["props"]!.AsObject())
        {
            arguments[level] = value!.DeepClone();
        }

        Assert.Equal("{}", (await Ask(client, "device_add", arguments))!.ToJsonString());
        Assert.Equal(
            """{"info":{"device":"new","slot":"2","slot-type":"CPU","source":1,"status":0}}""",
            (await Event(client, "ACPI_DEVICE_OST")).ToJsonString());
        Assert.Equal(
            """{"device":"new","path":"/machine/peripheral/new","cpu-index":2,"operation":"plug","result":"done"}""",
            (await Event(client, Outcome)).ToJsonString());
        Assert.Equal("0-2", await vm.Shell.RunAsync("echo 1 > /sys/devices/system/cpu/cpu2/online; cat /sys/devices/system/cpu/online"));
        JsonArray cpus = (await Ask(client, "query-cpus-fast"))!.AsArray();
        Assert.Equal("/machine/peripheral/new", cpus[2]!["qom-path"]!.ToString());
        Assert.True(Directory.Exists($"/proc/self/task/{cpus[2]!["thread-id"]}"));
        Assert.Equal(1, (int)(await Ask(client, "query-acpi-ospm-status"))![2]!["source"]!);
        await LookInside(vm, client);

        Assert.Equal("{}", (await Ask(client, "device_del", new JsonObject { ["id"] = "/machine/peripheral/new" }))!.ToJsonString());
        Assert.Equal("""{"device":"new","path":"/machine/peripheral/new"}""", (await Event(client, "DEVICE_DELETED")).ToJsonString());
        Assert.Equal("unplug", (await Event(client, Outcome))["operation"]!.ToString());

        await Ask(client, "stop");
        await Event(client, "STOP");
        await Ask(client, "cont");
        await Event(client, "RESUME");
        vm.Shell.Type("reboot -f");
        Assert.Equal("""{"guest":true,"reason":"guest-reset"}""", (await Event(client, "RESET")).ToJsonString());
        await vm.AwaitShellAsync();
        vm.Shell.Type("poweroff -f");
        Assert.Equal("""{"guest":true,"reason":"guest-shutdown"}""", (await Event(client, "SHUTDOWN")).ToJsonString());
        await vm.EndAsync();
    }

    // Memory at virtual addresses is the kernel's own, and what people see of the machine is there.
    private async Task LookInside(ShellVm vm, QmpTestClient client)
    {
        string address = (await vm.Shell.RunAsync("grep ' linux_banner$' /proc/kallsyms")).Split(' ')[0];
        string dump = await Human(client, $"x /16xb 0x{address}");
        byte[] bytes = [.. HexadecimalByte().Matches(dump)
            .Select(m => byte.Parse(m.Groups[1].ValueSpan, NumberStyles.HexNumber, CultureInfo.InvariantCulture))];
        Assert.StartsWith("Linux version ", System.Text.Encoding.ASCII.GetString(bytes), StringComparison.Ordinal);
        Assert.Contains("Cannot access memory", await Human(client, "x /4xw 0"), StringComparison.Ordinal);
        Assert.Matches(@"\n +27  cpu0 +enabled", await Human(client, "info irq"));
        Assert.Matches(@"\n +33  ", await Human(client, "info irq"));
        Assert.Matches("global of [0-9]+ KiB", await Human(client, "info tlb"));
        Assert.Contains("cpu2: PMR=", await Human(client, "info pic"), StringComparison.Ordinal);
        Assert.Contains("ram): mach-virt.ram", await Human(client, "info mtree -f"), StringComparison.Ordinal);
        Assert.Contains("/new (cortex-a57-arm-cpu)", await Human(client, "info qom-tree"), StringComparison.Ordinal);
        Assert.Contains("CPU #2: thread_id=", await Human(client, "info cpus"), StringComparison.Ordinal);
        Assert.Equal("CPU#3 not available\r\n", await Human(client, "info registers 3"));
    }

    /// <summary>A client that nobody wrote for Vmm: digitalocean/go-qemu, from Debian.</summary>
    [LongFact]
    public async Task Client_of_others_plugs_and_unplugs()
    {
        await using ShellVm vm = await ShellVm.BootAsync("cortex-a57", 2, 4);
        string path = vm.ServeQmp();
        string program = Path.Combine(Path.GetTempPath(), $"vmm-go-qemu-{Environment.ProcessId}");
        string source = Path.Combine(TestGuest.Root, "tests/payloads/go-qemu/main.go");
        try
        {
            await Run("sh", ["-c", "[ -d /usr/share/gocode/src/github.com/digitalocean/go-qemu ] && command -v go || apt-get install -y "
                + "--no-install-recommends golang-go golang-github-digitalocean-go-qemu-dev"]);
            await Run("go", ["build", "-o", program, source]);
            Assert.EndsWith("plugged and unplugged\n", await Run(program, [path]), StringComparison.Ordinal);
            Assert.Equal("0-1", await vm.Shell.RunAsync("cat /sys/devices/system/cpu/enabled"));
        }
        finally
        {
            File.Delete(program);
        }

        await vm.PowerOffAsync();
    }

    private static async Task<string> Run(string command, string[] arguments)
    {
        var start = new ProcessStartInfo(command, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["GOPATH"] = "/usr/share/gocode";
        start.Environment["GO111MODULE"] = "off";
        start.Environment["GOFLAGS"] = "";
        start.Environment["GOCACHE"] = Path.Combine(Path.GetTempPath(), "vmm-go-cache");
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync().WaitAsync(Patience.Limit);
        Assert.True(process.ExitCode == 0, $"{command}: {output}{await errors}");
        return output;
    }

    private async Task<string> Human(QmpTestClient client, string line) =>
        (await Ask(client, "human-monitor-command", new JsonObject { ["command-line"] = line }))!.ToString();

    private async Task<JsonNode?> Ask(QmpTestClient client, string command, JsonObject? arguments = null)
    {
        var request = new JsonObject { ["execute"] = command };
        if (arguments != null)
        {
            request["arguments"] = arguments;
        }

        client.Send(request.ToJsonString());
        while (true)
        {
            JsonNode answer = (await client.ReceiveAsync())!;
            if (answer["event"] != null)
            {
                _events.Add(answer);
                continue;
            }

            Assert.True(answer["error"] == null, answer.ToJsonString());
            return answer["return"];
        }
    }

    // The data of the next event of a name.
    private async Task<JsonNode> Event(QmpTestClient client, string name)
    {
        while (true)
        {
            if (_events.FindIndex(e => e["event"]!.ToString() == name) is >= 0 and int index)
            {
                JsonNode kept = _events[index];
                _events.RemoveAt(index);
                return kept["data"] ?? new JsonObject();
            }

            _events.Add((await client.ReceiveAsync())!);
        }
    }

    [GeneratedRegex("0x([0-9a-f]{2})\\b")]
    private static partial Regex HexadecimalByte();
}
