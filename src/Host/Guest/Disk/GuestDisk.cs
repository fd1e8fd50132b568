using System.Formats.Tar;
using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;

namespace Vmm.Host.Guest.Disk;

/// <summary>
/// A disk with Debian on it, made once of the archive's packages and kept in the cache: GPT, an EFI system partition with GRUB, ext4 with
/// systemd, ssh and cloud-init. A guest of ours makes it, because only arm64 can run what installs arm64's packages; so nobody needs to be
/// root on this host.
/// </summary>
internal static partial class GuestDisk
{
    private static readonly string[] s_modules = ["virtio_mmio", "virtio_blk"];

    /// <summary>The disk of the cache.</summary>
    public static string ImagePath { get; } = Path.Combine(GuestAssets.CacheFolder, $"debian-{GuestKernel.DefaultSuite}.raw");

    /// <summary>Makes the disk, unless it is in the cache. Several processes can call it at once.</summary>
    /// <returns>Its path: a raw image.</returns>
    /// <exception cref="GuestAssetsException">It cannot be made.</exception>
    public static async Task<string> EnsureAsync(IProgress<FetchProgress>? progress, CancellationToken cancellation)
    {
        Directory.CreateDirectory(GuestAssets.CacheFolder);
        await using FileStream held = await GuestAssets.LockAsync("disk-lock", cancellation);
        if (!File.Exists(ImagePath))
        {
            // What is made goes where it will be, so that a rename makes it visible.
            string folder = Path.Combine(GuestAssets.CacheFolder, "disk");
            Directory.CreateDirectory(folder);
            byte[] busybox = await GuestAssets.EnsureBusyboxAsync(progress, cancellation);
            await GuestAssets.FetchAsync(
                GuestKernel.DefaultSuite, (apt, _) => MakeAsync(apt, busybox, folder, progress, cancellation), cancellation);
            File.Move(Path.Combine(folder, "target.raw"), ImagePath);
            Directory.Delete(folder, recursive: true);
        }

        return ImagePath;
    }

    private static async Task MakeAsync(
        AptArchive apt, byte[] busybox, string folder, IProgress<FetchProgress>? progress, CancellationToken cancellation)
    {
        DebFile[] first = await apt.ClosureAsync(DiskRecipe.Base, cancellation);
        DebFile[] all = await apt.ClosureAsync(DiskRecipe.All, cancellation);
        string debs = Path.Combine(folder, "debs");
        await apt.DownloadAsync(DiskRecipe.All, debs, $"{all.Length} packages", progress, cancellation);
        WritePackages(Path.Combine(folder, "packages.tar"), debs, first, all);
        (string kernel, byte[] modules) = await UnpackKernelAsync(debs, all, busybox, folder, cancellation);
        string initrd = Path.Combine(folder, "initrd.cpio");
        await File.WriteAllBytesAsync(initrd, modules, cancellation);
        foreach (string disk in (string[])["scratch.raw", "target.raw"])
        {
            await using FileStream file = File.Create(Path.Combine(folder, disk));
            file.SetLength(DiskRecipe.Size);
        }

        await RunAsync(folder, kernel, initrd, progress, cancellation);
    }

    // The same packages give the same bytes.
    private static void WritePackages(string path, string debs, DebFile[] first, DebFile[] all)
    {
        using var tar = new TarWriter(File.Create(path), TarEntryFormat.Pax);
        void Add(string name, Stream content) => tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name)
        {
            DataStream = content,
            ModificationTime = DateTimeOffset.FromUnixTimeSeconds(DiskRecipe.Epoch),
            Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead,
        });
        void AddText(string name, string text) => Add(name, new MemoryStream(Encoding.UTF8.GetBytes(text)));
        AddText("base", string.Concat(first.Select(file => $"{NameInside(file)}\n")));
        AddText("all", string.Concat(all.Select(file => $"{NameInside(file)}\n")));
        foreach ((string name, string text) in DiskRecipe.Files)
        {
            AddText($"files/{name}", text);
        }

        foreach (DebFile file in all)
        {
            using FileStream deb = File.OpenRead(Path.Combine(debs, file.Name));
            Add($"debs/{NameInside(file)}", deb);
        }
    }

    // Without characters that a shell or apt could take for something else.
    private static string NameInside(DebFile file) => file.Name.Replace("%3a", ".", StringComparison.Ordinal);

    // The kernel that will be on the disk also makes it; with it goes an initial RAM disk of busybox, the script and modules for disks.
    private static async Task<(string Kernel, byte[] Initrd)> UnpackKernelAsync(
        string debs, DebFile[] all, byte[] busybox, string folder, CancellationToken cancellation)
    {
        string image = all.Select(file => file.Name).Single(name => KernelName().IsMatch(name));
        string tree = Path.Combine(folder, "kernel");
        await AptArchive.UnpackAsync(Path.Combine(debs, image), tree, cancellation);
        var archive = new CpioArchive();
        archive.AddDirectory("bin");
        archive.AddDirectory("dev");
        archive.AddCharacterDevice("dev/console", 5, 1);
        archive.AddFile("bin/busybox", busybox, 0x1ED);
        archive.AddFile("init", Encoding.UTF8.GetBytes(Script()), 0x1ED);
        foreach (string module in s_modules)
        {
            string file = Directory.EnumerateFiles(tree, $"{module}.ko.xz", SearchOption.AllDirectories).FirstOrDefault()
                ?? throw new GuestAssetsException($"package {image} lacks the module {module}");
            archive.AddFile($"{module}.ko.xz", await File.ReadAllBytesAsync(file, cancellation));
        }

        string kernel = Directory.EnumerateFiles(tree, "vmlinuz*", SearchOption.AllDirectories).FirstOrDefault()
            ?? throw new GuestAssetsException($"package {image} lacks a kernel");
        return (kernel, archive.ToArray());
    }

    private static string Script()
    {
        using Stream script = Assembly.GetExecutingAssembly().GetManifestResourceStream("make-disk.sh")!;
        using var reader = new StreamReader(script);
        return reader.ReadToEnd().ReplaceLineEndings("\n").Replace("@EPOCH@", $"{DiskRecipe.Epoch}", StringComparison.Ordinal)
            .Replace("@ROOT@", DiskRecipe.RootUuid, StringComparison.Ordinal);
    }

    private static async Task RunAsync(
        string folder, string kernel, string initrd, IProgress<FetchProgress>? progress, CancellationToken cancellation)
    {
        string[] Disk(string id, string file, string options) =>
        [
            "-drive", $"if=none,id={id},file={Path.Combine(folder, file)},format=raw,{options}",
            "-device", $"virtio-blk-device,drive={id},serial={id}",
        ];
        string log = Path.Combine(GuestAssets.CacheFolder, "disk.log");
        var steps = new StepReader(progress);
        await using (FileStream written = File.Create(log))
        await using (VmmChild vm = await VmmChild.StartAsync(
            "maker", folder,
            [
                "-kernel", kernel, "-initrd", initrd, "-append", "console=ttyAMA0 quiet panic=-1", "-m", "1536M", "-smp", "2",
                "-display", "none", "-monitor", "none",
                .. Disk("packages", "packages.tar", "readonly=on"), .. Disk("scratch", "scratch.raw", "cache=unsafe"),
                .. Disk("target", "target.raw", "cache=unsafe"),
            ],
            bytes =>
            {
                written.Write(bytes.Span);
                steps.Take(Encoding.UTF8.GetString(bytes.Span));
            }))
        {
            await vm.WaitForEndAsync(cancellation);
        }

        if (!steps.Done)
        {
            throw new GuestAssetsException($"the guest that makes the disk {steps.Problem}: its output is in {log}");
        }
    }

    [GeneratedRegex("^linux-image-[0-9].*_arm64\\.deb$")]
    private static partial Regex KernelName();
}
