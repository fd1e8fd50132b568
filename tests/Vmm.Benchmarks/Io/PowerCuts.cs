using System.Diagnostics;
using System.Globalization;
using System.Text;
using Vmm.Emulation.Block;
using Vmm.Emulation.Block.Qcow2;
using Vmm.Host.Guest;
using Vmm.Host.Guest.Disk;

namespace Vmm.Benchmarks.Io;

/// <summary>What the guest does when the power fails.</summary>
internal enum CutLoad
{
    /// <summary>fio writes at random, and flushes now and then.</summary>
    Fio,

    /// <summary>Packages are installed and purged.</summary>
    Packages,
}

/// <summary>
/// Kills a VM at random moments while Debian works on its disk. The next start finds every record that the guest had seen flushed; the file
/// system and the image are whole.
/// </summary>
internal sealed class PowerCuts(IReadOnlyList<string> vmm, int seed, TextWriter output)
{
    private const string Records = "/root/records";
    private const string Fio = "fio --name=load --filename=/root/load --size=192m --rw=randwrite --bs=4k --ioengine=libaio --iodepth=8 "
        + "--fsync=32 --time_based --runtime=600 > /dev/null &";

    private const string Verified = "verified ";

    private static readonly string[] s_packages = ["tree", "hello", "bc", "pv", "jq", "libjq1", "libonig5"];

    private static readonly string Dpkg =
        $"while :; do dpkg -i /mnt/*.deb; dpkg -P {string.Join(' ', s_packages)}; done > /dev/null 2>&1 &";

    private static readonly string VerifyPackages =
        "dpkg -i /mnt/*.deb > /run/dpkg 2>&1 || problems=\"$problems dpkg\"; [ -z \"$(dpkg --audit)\" ] || problems=\"$problems audit\"; "
        + $"[ -z \"$(dpkg --verify {string.Join(' ', s_packages)})\" ] || problems=\"$problems verify\"";

    private readonly Random _random = new(seed);
    private string _kernel = "";
    private string _initrd = "";
    private byte[] _debs = [];
    private int _failures;

    /// <summary>Cuts so many times for each load and format; how many cases were wrong.</summary>
    public async Task<int> RunAsync(int cuts, IReadOnlyList<CutLoad> loads, IReadOnlyList<string> formats)
    {
        await output.WriteLineAsync($"seed {seed}").ConfigureAwait(false);
        string folder = Directory.CreateTempSubdirectory("vmm-cuts-").FullName;
        try
        {
            string disk = await GuestDisk.EnsureAsync(null, CancellationToken.None).ConfigureAwait(false);
            await PrepareAsync(disk, folder).ConfigureAwait(false);
            foreach (CutLoad load in loads)
            {
                foreach (string format in formats)
                {
                    await CutAsync(cuts, load, format, disk, folder).ConfigureAwait(false);
                }
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        return _failures;
    }

    // The kernel is entered directly, because many starts are to be short.
    private async Task PrepareAsync(string disk, string folder)
    {
        string root = $"{disk}?offset={DiskRecipe.RootOffset}";
        string[] names = (await DiskCheck.RunAsync("/usr/sbin/debugfs", "-R", "ls -p /boot", root).ConfigureAwait(false)).Split('/', '\n');
        foreach (string name in (string[])["vmlinuz-", "initrd.img-"])
        {
            string file = names.First(n => n.StartsWith(name, StringComparison.Ordinal));
            await DiskCheck.RunAsync("/usr/sbin/debugfs", "-R", $"dump /boot/{file} {folder}/{name}", root).ConfigureAwait(false);
        }

        (_kernel, _initrd) = ($"{folder}/vmlinuz-", $"{folder}/initrd.img-");
        var files = new List<(string, byte[])>();
        await GuestAssets.FetchAsync(GuestKernel.DefaultSuite, async (apt, work) =>
        {
            foreach (string package in s_packages)
            {
                await apt.FetchAsync(package, work, null, CancellationToken.None).ConfigureAwait(false);
                string deb = Directory.EnumerateFiles(work, $"{package}_*.deb").Single();
                files.Add(($"{package}.deb", await File.ReadAllBytesAsync(deb).ConfigureAwait(false)));
            }
        }, CancellationToken.None).ConfigureAwait(false);
        _debs = FatImage.Make("DEBS", files);
    }

    private async Task CutAsync(int cuts, CutLoad load, string format, string disk, string folder)
    {
        string image = Path.Combine(folder, $"disk.{format}");
        string debs = Path.Combine(folder, "debs.img");
        await File.WriteAllBytesAsync(debs, _debs).ConfigureAwait(false);
        if (format == "raw")
        {
            await DiskCheck.RunAsync("cp", "--sparse=always", disk, image).ConfigureAwait(false);
        }
        else
        {
            BlockImage.CreateQcow2(image, new Qcow2Options { BackingFile = disk, BackingFormat = "raw" });
        }

        int wrong = _failures;
        long records = 0;
        for (int cut = 0; cut <= cuts; cut++)
        {
            // What the cut before it left is looked at first; the last start only looks.
            DebianMachine machine = await StartAsync(Script(load), format, image, debs, folder).ConfigureAwait(false);
            await using (machine.ConfigureAwait(false))
            {
                string? problem = await VerifyAsync(machine, records, format, image, folder).ConfigureAwait(false);
                if (problem != null)
                {
                    await FailAsync($"{load}, {format}, cut {cut}: {problem}", image, $"{load}-{cut}.{format}").ConfigureAwait(false);
                    break;
                }

                if (cut < cuts)
                {
                    records = await CutAsync(machine).ConfigureAwait(false);
                }
            }

            if (format != "raw")
            {
                if (await DiskCheck.OfImageAsync(format, image, mayLeak: true).ConfigureAwait(false) is { } wrongImage)
                {
                    await FailAsync($"{load}, {format}, cut {cut}: {wrongImage}", image, $"{load}-{cut}.{format}").ConfigureAwait(false);
                }
            }
        }

        File.Delete(image);
        await output.WriteLineAsync($"{load}, {format}: {cuts} cuts, {records} records, {_failures - wrong} wrong").ConfigureAwait(false);
    }

    private async Task FailAsync(string what, string image, string name)
    {
        _failures++;
        await output.WriteLineAsync(what).ConfigureAwait(false);
        File.Copy(image, Path.Combine(Path.GetTempPath(), $"vmm-cut-{seed}-{name}"), overwrite: true);
    }

    // Kills the machine while its guest writes. The last record that the guest had seen flushed.
    private async Task<long> CutAsync(DebianMachine machine)
    {
        await machine.SendAsync("go\n").ConfigureAwait(false);
        await machine.AwaitAsync("record ").ConfigureAwait(false);
        Task end = machine.AwaitEndAsync();
        await Task.Delay(_random.Next(4000)).ConfigureAwait(false);
        machine.Kill();
        await end.ConfigureAwait(false);
        return Last(machine.Console, "record ");
    }

    // What the guest finds of what was flushed, and e2fsck while the guest has the file system read-only; null for nothing wrong.
    private static async Task<string?> VerifyAsync(DebianMachine machine, long flushed, string format, string image, string folder)
    {
        try
        {
            await machine.AwaitAsync(Verified).ConfigureAwait(false);
            await machine.AwaitAsync("\nready").ConfigureAwait(false);
        }
        catch (InvalidOperationException e)
        {
            return $"the next start did not verify: {e.Message}";
        }

        string said = machine.Console;
        string[] words = said[(said.IndexOf(Verified, StringComparison.Ordinal) + Verified.Length)..].Split('\n')[0].Trim().Split(' ');
        long found = long.Parse(words[0], CultureInfo.InvariantCulture);
        if (found < flushed || words.Length > 1)
        {
            return found < flushed ? $"{flushed} records were flushed, {found} are there"
                : $"the guest says {string.Join(' ', words[1..])}";
        }

        return await DiskCheck.OfFileSystemAsync(format, image, folder).ConfigureAwait(false);
    }

    private const string Begin =
        """
        exec < /dev/ttyAMA0 > /dev/ttyAMA0 2>&1
        mount -t tmpfs tmpfs /run
        modprobe -a vfat nls_cp437 nls_ascii
        mount -t vfat -o ro /dev/disk/by-id/virtio-debs /mnt

        """;

    // What a cut has left is verified, then there is a load. Records are the numbers from 1 on, a line each, and told when they are
    // flushed; the last line may be cut. A package that dpkg was at can be installed again.
    private static string Script(CutLoad load) =>
        $$"""
        problems=
        touch {{Records}}
        n=$(awk '$0 != NR { exit } { n = NR } END { print n + 0 }' {{Records}})
        head -n $n {{Records}} > /run/whole
        cp /run/whole {{Records}}
        {{(load == CutLoad.Fio ? "" : VerifyPackages)}}
        sync
        echo "{{Verified}}$n$problems"
        mount -o remount,ro /
        echo ready
        read go < /dev/ttyAMA0
        mount -o remount,rw /
        {{(load == CutLoad.Fio ? Fio : Dpkg)}}
        while :; do
            n=$((n + 1))
            echo $n >> {{Records}}
            sync {{Records}}
            echo "record $n"
        done

        """;

    // The script is a disk that bash reads, as the first process.
    private async Task<DebianMachine> StartAsync(string script, string format, string image, string debs, string folder)
    {
        string path = Path.Combine(folder, "script.img");
        byte[] text = Encoding.UTF8.GetBytes((Begin + script).ReplaceLineEndings("\n"));
        byte[] padded = new byte[(text.Length + 511) / 512 * 512];
        padded.AsSpan().Fill((byte)'\n');
        text.CopyTo(padded, 0);
        await File.WriteAllBytesAsync(path, padded).ConfigureAwait(false);
        string[] Disk(string id, string file, string kind, string more) =>
            ["-drive", $"if=none,id={id},file={file},format={kind}{more}", "-device", $"virtio-blk-pci,drive={id},serial={id}"];
        return await DebianMachine.StartAsync(
        [
            .. vmm, "run", "-kernel", _kernel, "-initrd", _initrd, "-append",
            $"console=ttyAMA0 quiet rw root=UUID={DiskRecipe.RootUuid} init=/bin/bash -- /dev/disk/by-id/virtio-script",
            "-smp", "2", "-m", "512M", "-display", "none", "-monitor", "none",
            .. Disk("root", image, format, ""), .. Disk("script", path, "raw", ",readonly=on"),
            .. Disk("debs", debs, "raw", ",readonly=on"),
        ], folder).ConfigureAwait(false);
    }

    private static long Last(string console, string mark)
    {
        // A line that was cut is none.
        string whole = console[..(console.LastIndexOf('\n') + 1)];
        int at = whole.LastIndexOf(mark, StringComparison.Ordinal);
        return at < 0 ? 0 : long.Parse(whole[(at + mark.Length)..].Split('\n')[0].Trim(), CultureInfo.InvariantCulture);
    }
}
