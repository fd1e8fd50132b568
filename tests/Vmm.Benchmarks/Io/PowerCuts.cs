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
        string[] names = (await Run("/usr/sbin/debugfs", "-R", "ls -p /boot", root).ConfigureAwait(false)).Split('/', '\n');
        foreach (string name in (string[])["vmlinuz-", "initrd.img-"])
        {
            string file = names.First(n => n.StartsWith(name, StringComparison.Ordinal));
            await Run("/usr/sbin/debugfs", "-R", $"dump /boot/{file} {folder}/{name}", root).ConfigureAwait(false);
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
            await Run("cp", "--sparse=always", disk, image).ConfigureAwait(false);
        }
        else
        {
            BlockImage.CreateQcow2(image, new Qcow2Options { BackingFile = disk, BackingFormat = "raw" });
        }

        int wrong = _failures;
        long records = 0;
        for (int cut = 0; cut < cuts; cut++)
        {
            (records, string? problem) = await CutOnceAsync(load, format, image, debs, folder, records).ConfigureAwait(false);
            if (problem != null)
            {
                _failures++;
                await output.WriteLineAsync($"{load}, {format}, cut {cut}: {problem}").ConfigureAwait(false);
                File.Copy(image, Path.Combine(Path.GetTempPath(), $"vmm-cut-{seed}-{load}-{cut}.{format}"), overwrite: true);
            }
        }

        File.Delete(image);
        await output.WriteLineAsync($"{load}, {format}: {cuts} cuts, {records} records, {_failures - wrong} wrong").ConfigureAwait(false);
    }

    // How many records there are, and what is wrong with the disk; null for nothing.
    private async Task<(long Records, string? Problem)> CutOnceAsync(
        CutLoad load, string format, string image, string debs, string folder, long before)
    {
        long flushed = before;
        DebianMachine machine = await StartAsync(LoadScript(load, before), format, image, debs, folder).ConfigureAwait(false);
        await using (machine.ConfigureAwait(false))
        {
            await machine.AwaitAsync("record ").ConfigureAwait(false);
            Task end = machine.AwaitEndAsync();
            await Task.Delay(_random.Next(4000)).ConfigureAwait(false);
            machine.Kill();
            await end.ConfigureAwait(false);
            flushed = Math.Max(flushed, Last(machine.Console, "record "));
        }

        machine = await StartAsync(VerifyScript, format, image, debs, folder).ConfigureAwait(false);
        string said;
        await using (machine.ConfigureAwait(false))
        {
            await machine.AwaitEndAsync().ConfigureAwait(false);
            said = machine.Console;
        }

        int at = said.IndexOf(Verified, StringComparison.Ordinal);
        if (at < 0)
        {
            return (before, $"the next start did not verify: {said[^Math.Min(said.Length, 400)..]}");
        }

        string[] words = said[(at + Verified.Length)..].Split('\n')[0].Trim().Split(' ');
        long found = long.Parse(words[0], CultureInfo.InvariantCulture);
        string? problem = found < flushed ? $"{flushed} records were flushed, {found} are there"
            : words.Length > 1 ? $"the guest says {string.Join(' ', words[1..])}"
            : await CheckAsync(format, image, folder).ConfigureAwait(false);
        return (found, problem);
    }

    private const string Begin =
        """
        exec < /dev/ttyAMA0 > /dev/ttyAMA0 2>&1
        mount -t tmpfs tmpfs /run
        modprobe -a vfat nls_cp437 nls_ascii
        mount -t vfat -o ro /dev/disk/by-id/virtio-debs /mnt

        """;

    // Records of one line each; a record is flushed before it is told.
    private static string LoadScript(CutLoad load, long first) =>
        $$"""
        {{(load == CutLoad.Fio ? Fio : Dpkg)}}
        n={{first}}
        while :; do
            n=$((n + 1))
            echo $n >> {{Records}}
            sync {{Records}}
            echo "record $n"
        done

        """;

    // The records are the numbers from 1 on; the last line may be cut. A package that dpkg was at can be installed again.
    private static string VerifyScript =>
        $$"""
        problems=
        last=$(awk '$0 != NR { exit } { n = NR } END { print n + 0 }' {{Records}})
        head -n $last {{Records}} > /run/whole
        cp /run/whole {{Records}}
        dpkg -i /mnt/*.deb > /run/dpkg 2>&1 || problems="$problems dpkg"
        [ -z "$(dpkg --audit)" ] || problems="$problems audit"
        [ -z "$(dpkg --verify {{string.Join(' ', s_packages)}})" ] || problems="$problems verify"
        sync
        echo "{{Verified}}$last$problems"
        mount -o remount,ro /
        echo o > /proc/sysrq-trigger
        sleep 60

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

    private static async Task<string?> CheckAsync(string format, string image, string folder)
    {
        string raw = image;
        if (format != "raw")
        {
            (int code, string said) = await TryRun("qemu-img", "check", "-f", format, image).ConfigureAwait(false);

            // 3 is for clusters that are counted and not used, which a repair gives back (qemu-img(1)).
            if (code is not (0 or 3))
            {
                return $"qemu-img check: {said}";
            }

            raw = Path.Combine(folder, "check.raw");
            await Run("qemu-img", "convert", "-f", format, "-O", "raw", image, raw).ConfigureAwait(false);
        }

        (int status, string e2fsck) =
            await TryRun("/usr/sbin/e2fsck", "-fn", $"{raw}?offset={DiskRecipe.RootOffset}").ConfigureAwait(false);
        return status == 0 ? null : $"e2fsck: {e2fsck}";
    }

    private static long Last(string console, string mark)
    {
        // A line that was cut is none.
        string whole = console[..(console.LastIndexOf('\n') + 1)];
        int at = whole.LastIndexOf(mark, StringComparison.Ordinal);
        return at < 0 ? 0 : long.Parse(whole[(at + mark.Length)..].Split('\n')[0].Trim(), CultureInfo.InvariantCulture);
    }

    private static async Task<string> Run(string program, params string[] arguments)
    {
        (int code, string said) = await TryRun(program, arguments).ConfigureAwait(false);
        return code == 0 ? said : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {said}");
    }

    private static async Task<(int Code, string Said)> TryRun(string program, params string[] arguments)
    {
        (int code, string said, string error) = await HostTools.RunAsync(program, arguments, CancellationToken.None).ConfigureAwait(false);
        return (code, said + error);
    }
}
