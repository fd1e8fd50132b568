using System.Diagnostics;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Vmm.Emulation.Tests;
using Vmm.Host.Guest;
using Vmm.Management.Tests.Qmp;

namespace Vmm.Guest.Tests;

/// <summary>
/// What monitors say of disks and their nodes is what QEMU 10 says of the same machine, but for the names of unnamed nodes.
/// </summary>
public sealed partial class BlockReportTests : IDisposable
{
    private static readonly string[] s_requests =
    [
        """{"execute":"query-block"}""",
        """{"execute":"query-blockstats"}""",
        """{"execute":"query-blockstats","arguments":{"query-nodes":true}}""",
        """{"execute":"query-named-block-nodes"}""",
        """{"execute":"query-named-block-nodes","arguments":{"flat":true}}""",
        """{"execute":"human-monitor-command","arguments":{"command-line":"info block"}}""",
        """{"execute":"human-monitor-command","arguments":{"command-line":"info block d0"}}""",
        """{"execute":"human-monitor-command","arguments":{"command-line":"info block -n"}}""",
        """{"execute":"human-monitor-command","arguments":{"command-line":"info blockstats"}}""",
        """{"execute":"human-monitor-command","arguments":{"command-line":"info block -v"}}""",
        """{"execute":"human-monitor-command","arguments":{"command-line":"info block -v d0"}}""",
        """{"execute":"human-monitor-command","arguments":{"command-line":"info block -n -v"}}""",
    ];

    // Snapshots of single disks that are made and deleted while the VM has them, and what is said then.
    private static readonly string[] s_snapshotRequests =
    [
        .. new (string, string)[]
        {
            ("d0", "one"), ("d0", "two"), ("d0", "two"), ("d0", ""), ("d0", "3"), ("virtio0", "x"), ("virtio0", ""), ("n2", "x"),
            ("disk0", "x"), ("f2", "x"), ("x", "x"),
        }.Select(s => $$$"""{"execute":"blockdev-snapshot-internal-sync","arguments":{"device":"{{{s.Item1}}}","name":"{{{s.Item2}}}"}}"""),
        .. new (string, string)[]
        {
            ("d0", ""), ("d0", ",\"name\":\"none\""), ("d0", ",\"id\":\"9\""), ("d0", ",\"id\":\"1\",\"name\":\"two\""),
            ("d0", ",\"id\":\"1\",\"name\":\"one\""), ("d0", ",\"id\":\"1\""), ("d0", ",\"name\":\"\""), ("virtio0", ",\"name\":\"x\""),
            ("virtio0", ""), ("n2", ",\"name\":\"x\""), ("x", ""), ("d0", ",\"name\":\"3\""),
        }.Select(s => $$$"""{"execute":"blockdev-snapshot-delete-internal-sync","arguments":{"device":"{{{s.Item1}}}"{{{s.Item2}}}}}"""),
        .. new[]
        {
            "snapshot_blkdev_internal d0 h", "snapshot_blkdev_internal d0 h", "snapshot_blkdev_internal d0 \\\"\\\"",
            "snapshot_delete_blkdev_internal d0 h 77", "snapshot_delete_blkdev_internal d0 h", "snapshot_delete_blkdev_internal d0 h",
            "snapshot_blkdev_internal virtio0 h", "info block d0",
        }.Select(l => $$$"""{"execute":"human-monitor-command","arguments":{"command-line":"{{{l}}}"}}"""),
    ];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-block-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Reports_are_those_of_QEMU()
    {
        string[] machine =
        [
            "-S", "-machine", "virt,gic-version=3", "-cpu", "cortex-a57", "-m", "300M", "-display", "none", "-nodefaults",
            "-serial", "null", "-monitor", "none", "-kernel", TestGuest.Files(GuestFlavour.Cloud).Kernel,
            "-drive", $"if=none,id=d0,file={At("a.qcow2")},format=qcow2,discard=unmap,detect-zeroes=unmap",
            "-device", "virtio-blk-pci,drive=d0,id=disk0",
            "-drive", $"if=virtio,file={At("b.raw")},format=raw,throttling.iops-total=100,throttling.iops-total-max=200,cache=none",
            "-blockdev",
            $"driver=qcow2,node-name=n2,file.driver=file,file.filename={At("c.qcow2")},file.node-name=f2,read-only=on",
            "-device", "virtio-blk-pci,drive=n2",
            "-drive", $"if=none,id=d4,file={At("d.qcow2")},format=qcow2",
        ];
        await MakeImagesAsync();
        string[] theirs = await AskAsync([.. RecentQemu.System, .. machine]);
        await CheckImagesAsync();
        await MakeImagesAsync();
        string[] ours = await AskAsync(["dotnet", VmmProcess.Program, .. machine]);
        await CheckImagesAsync();
        int succeeded = 0;
        foreach (((string request, string expected), string answer) in s_requests.Concat(s_snapshotRequests).Zip(theirs).Zip(ours))
        {
            succeeded += expected.StartsWith("{\"return\":", StringComparison.Ordinal) ? 1 : 0;
            Assert.True(expected == answer, $"{request}\n  QEMU: {expected}\n  Vmm:  {answer}");
        }

        Assert.True(succeeded > s_requests.Length + 10, $"{succeeded} requests");
    }

    private async Task MakeImagesAsync()
    {
        await RunAsync("qemu-img", "create", "-q", "-f", "raw", At("base.raw"), "8M");
        await RunAsync("qemu-img", "create", "-q", "-f", "qcow2", "-b", At("base.raw"), "-F", "raw", At("a.qcow2"), "16M");
        await RunAsync("qemu-io", "-c", "write 0 1M", "-c", "write 8M 64k", At("a.qcow2"));
        await RunAsync("qemu-img", "snapshot", "-c", "one", At("a.qcow2"));
        await RunAsync("qemu-img", "create", "-q", "-f", "raw", At("b.raw"), "4M");
        await RunAsync("qemu-img", "create", "-q", "-f", "qcow2", "-o", "compat=0.10,cluster_size=4k", At("c.qcow2"), "4M");
        await RunAsync("qemu-img", "create", "-q", "-f", "qcow2", "-o", "lazy_refcounts=on", At("d.qcow2"), "4M");
    }

    private async Task CheckImagesAsync()
    {
        foreach (string image in new[] { "a.qcow2", "c.qcow2", "d.qcow2" })
        {
            await RunAsync("qemu-img", "check", "-q", At(image));
        }
    }

    [GeneratedRegex("#block[0-9]+")]
    private static partial Regex UnnamedNode();

    [GeneratedRegex("\"(date|vm-clock)-n?sec\":[0-9]+|20[0-9]{2}-[0-9-]{5} [0-9:]{8}")]
    private static partial Regex Time();

    private string At(string file) => Path.Combine(_folder.FullName, file);

    // The answers of a monitor, with members in order.
    private async Task<string[]> AskAsync(string[] command)
    {
        string socket = At("qmp");
        using Process process = Process.Start(new ProcessStartInfo(
            command[0], [.. command[1..], "-qmp", $"unix:{socket},server=on,wait=off"]) { RedirectStandardInput = true })!;
        try
        {
            using QmpTestClient client = await ConnectAsync(process, socket);
            var answers = new List<string>();
            foreach (string request in s_requests.Concat(s_snapshotRequests))
            {
                JsonNode answer = Assert.Single(await client.AskAsync(request));
                answers.Add(Time().Replace(UnnamedNode().Replace(Sorted(answer)!.ToJsonString(), "#"), "TIME"));
            }

            return [.. answers];
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync();
            File.Delete(socket);
        }
    }

    private static async Task<QmpTestClient> ConnectAsync(Process process, string socket)
    {
        using var patience = new CancellationTokenSource(Patience.Limit);
        while (true)
        {
            try
            {
                return await QmpTestClient.NegotiateAsync(socket);
            }
            catch (SocketException) when (!process.HasExited)
            {
                await Task.Delay(50, patience.Token);
            }
        }
    }

    private static JsonNode? Sorted(JsonNode? value) => value switch
    {
        JsonObject members => new JsonObject(members.OrderBy(m => m.Key, StringComparer.Ordinal)
            .Select(m => KeyValuePair.Create(m.Key, Sorted(m.Value)))),
        JsonArray elements => new JsonArray([.. elements.Select(Sorted)]),
        _ => value?.DeepClone(),
    };

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync().WaitAsync(Patience.Limit);
        Assert.Equal(0, process.ExitCode);
    }
}
