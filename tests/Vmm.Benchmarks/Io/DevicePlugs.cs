using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Vmm.Benchmarks.Hotplug;
using Vmm.Host.Guest;
using Vmm.Host.Guest.Disk;
using Vmm.Management.Commands;

namespace Vmm.Benchmarks.Io;

/// <summary>
/// PCI devices come into the slots of root ports and go again, while Debian works on its own disk. Each request ends once; the guest finds
/// each disk, writes it and reads it back; its kernel has nothing to complain of.
/// </summary>
internal sealed class DevicePlugs(IReadOnlyList<string> vmm, TextWriter output)
{
    private const int Ports = 8;
    private const int DiskBytes = 4 << 20;
    /// <summary>What the log of a kernel has of what should not be, as a regular expression.</summary>
    public const string Faults = "WARNING:|BUG:|Oops|Call trace|rcu: INFO|soft lockup|hung task|I/O error";

    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(5);

    // How often each request has ended, by the device's name and what was asked.
    private readonly ConcurrentDictionary<string, (int Count, string Result)> _outcomes = new();
    private int _failures;

    /// <summary>Plugs and unplugs so many devices; how much was wrong.</summary>
    public async Task<int> RunAsync(int plugs)
    {
        string folder = Directory.CreateTempSubdirectory("vmm-devices-").FullName;
        try
        {
            await RunAsync(plugs, folder).ConfigureAwait(false);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        return _failures;
    }

    private async Task RunAsync(int plugs, string folder)
    {
        string disk = await GuestDisk.EnsureAsync(null, CancellationToken.None).ConfigureAwait(false);
        string firmware = await GuestAssets.EnsureFirmwareAsync(null, CancellationToken.None).ConfigureAwait(false);
        int port = HostTools.FreePort();
        SshClient ssh = await SshClient.MakeAsync(folder, port, CancellationToken.None).ConfigureAwait(false);
        (string overlay, string seed) =
            await DistroSeed.MakeDisksAsync(folder, disk, ssh.PublicKey, CancellationToken.None).ConfigureAwait(false);
        string qmp = Path.Combine(folder, "qmp");
        var line = new List<string>
        {
            "run", "-smp", "2", "-m", "1G", "-bios", firmware, "-display", "none", "-monitor", "none",
            "-qmp", $"unix:{qmp},server=on,wait=off",
            "-drive", $"if=virtio,file={overlay},format=qcow2", "-drive", $"if=virtio,file={seed},format=raw,readonly=on",
            "-nic", $"user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{port}-:22",
        };
        for (int i = 0; i < Ports; i++)
        {
            string image = Path.Combine(folder, $"plugged{i}");
            await File.WriteAllBytesAsync(image, new byte[DiskBytes]).ConfigureAwait(false);
            line.AddRange(["-device", $"pcie-root-port,id=port{i},chassis={i + 1}", "-blockdev",
                $"driver=raw,node-name=node{i},file.driver=file,file.filename={image}"]);
        }

        DebianMachine machine = await DebianMachine.StartAsync([.. vmm, .. line], folder).ConfigureAwait(false);
        await using (machine.ConfigureAwait(false))
        {
            using QmpConnection connection = await QmpConnection.OpenAsync(qmp, Hear, CancellationToken.None).ConfigureAwait(false);
            await machine.AwaitLoginAsync().ConfigureAwait(false);
            await DebianMachine.AwaitSshAsync(ssh).ConfigureAwait(false);
            Task<string?> load = ssh.TryRunAsync(
                "while [ ! -e /run/enough ]; do fio --name=load --directory=/root --size=64m --rw=randrw --bs=4k --ioengine=libaio "
                + "--iodepth=8 --verify=crc32c > /root/fio.log 2>&1 || exit 1; done", CancellationToken.None);
            var clock = Stopwatch.StartNew();
            for (int done = 0; done < plugs;)
            {
                int count = Math.Min(Ports, plugs - done);
                await RoundAsync(connection, ssh, done, count).ConfigureAwait(false);
                done += count;
                if (done % 80 == 0 || done == plugs)
                {
                    string text = string.Create(
                        CultureInfo.InvariantCulture, $"{clock.Elapsed:hh\\:mm\\:ss}  {done} plugs and unplugs, {_failures} wrong");
                    await output.WriteLineAsync(text).ConfigureAwait(false);
                }
            }

            await ssh.RunAsync("touch /run/enough", CancellationToken.None).ConfigureAwait(false);
            await ExpectAsync("fio", "", await load.ConfigureAwait(false) ?? "failed").ConfigureAwait(false);
            await ExpectAsync(
                "the kernel", "", await ssh.RunAsync($"dmesg | grep -E '{Faults}' || true", CancellationToken.None).ConfigureAwait(false))
                .ConfigureAwait(false);
        }
    }

    // Disks in the even ports, sources of random numbers in the odd ones.
    private async Task RoundAsync(QmpConnection qmp, SshClient ssh, int first, int count)
    {
        for (int i = 0; i < count; i++)
        {
            var device = new JsonObject
            {
                ["driver"] = i % 2 == 0 ? "virtio-blk-pci" : "virtio-rng-pci", ["id"] = $"d{first + i}", ["bus"] = $"port{i}",
            };
            if (i % 2 == 0)
            {
                device["drive"] = $"node{i}";
                device["serial"] = $"s{first + i}";
            }

            await AskAsync(qmp, "device_add", device).ConfigureAwait(false);
        }

        await EndedAsync("plug", first, count).ConfigureAwait(false);
        for (int i = 0; i < count; i += 2)
        {
            string path = $"/dev/disk/by-id/virtio-s{first + i}";
            await ExpectAsync($"disk d{first + i}", "same", await ssh.RunAsync(
                $"udevadm settle; for n in $(seq 100); do [ -e {path} ] && break; sleep 0.1; done; head -c 1M /dev/urandom > /run/{i}; "
                + $"dd if=/run/{i} of={path} oflag=direct bs=64k 2> /dev/null; "
                + $"dd if={path} iflag=direct bs=64k count=16 2> /dev/null | cmp - /run/{i} && echo same", CancellationToken.None)
                .ConfigureAwait(false)).ConfigureAwait(false);
        }

        for (int i = 0; i < count; i++)
        {
            await AskAsync(qmp, "device_del", new JsonObject { ["id"] = $"d{first + i}" }).ConfigureAwait(false);
        }

        await EndedAsync("unplug", first, count).ConfigureAwait(false);
    }

    private async Task AskAsync(QmpConnection qmp, string command, JsonObject arguments)
    {
        if ((await qmp.ExecuteAsync(command, arguments).ConfigureAwait(false)).Error is { } error)
        {
            await ExpectAsync($"{command} {arguments["id"]}", "", error).ConfigureAwait(false);
        }
    }

    private async Task EndedAsync(string operation, int first, int count)
    {
        var clock = Stopwatch.StartNew();
        for (int i = first; i < first + count; i++)
        {
            string request = $"{operation} d{i}";
            while (!_outcomes.ContainsKey(request) && clock.Elapsed < s_patience)
            {
                await Task.Delay(5).ConfigureAwait(false);
            }

            (int ends, string result) = _outcomes.GetValueOrDefault(request, (0, "nothing"));
            await ExpectAsync(request, "1 done", $"{ends} {result}").ConfigureAwait(false);
        }
    }

    private void Hear(QmpEvent happened)
    {
        if (happened.Name == VmEvents.HotplugOutcomeName)
        {
            string request = $"{happened.Data!["operation"]} {happened.Data["device"]}";
            string result = $"{happened.Data["result"]}";
            _outcomes.AddOrUpdate(request, (1, result), (_, before) => (before.Count + 1, result));
        }
    }

    private async Task ExpectAsync(string what, string expected, string seen)
    {
        if (seen != expected)
        {
            _failures++;
            await output.WriteLineAsync($"{what}: expected '{expected}', seen '{seen}'").ConfigureAwait(false);
        }
    }
}
