namespace Vmm.Host.Guest.Disk;

/// <summary>What is on the disk that <see cref="GuestDisk"/> makes.</summary>
internal static class DiskRecipe
{
    /// <summary>Bytes of the disk; most of them are holes of its file.</summary>
    public const long Size = 3L << 30;

    /// <summary>
    /// The last date on the disk, in seconds since 1970: the same packages give the same disk, whenever it is made. 1 January 2026.
    /// </summary>
    public const long Epoch = 1767225600;

    /// <summary>Where the root file system begins, in bytes; see <c>make-disk.sh</c>.</summary>
    public const long RootOffset = (2048 + 131072) * 512L;

    /// <summary>The UUID of the root file system.</summary>
    public const string RootUuid = "7d3c1c5e-4c0e-4d65-9a1f-6f1d0c5b7a02";

    /// <summary>The steps of <c>make-disk.sh</c>.</summary>
    public const int Steps = 7;

    /// <summary>What can install the others, and makes the file systems.</summary>
    public static string[] Base { get; } = ["?essential", "apt", "e2fsprogs", "fdisk", "dosfstools", "mtools"];

    /// <summary>All packages: what Debian's cloud images have, and what <c>vmm demo --distro</c> works with.</summary>
    public static string[] All { get; } =
    [
        .. Base, "init", "systemd-sysv", "systemd-resolved", "libnss-resolve", "udev", "dbus", "linux-image-cloud-arm64", "grub-efi-arm64",
        "initramfs-tools", "zstd", "openssh-server", "iproute2", "iputils-ping", "ca-certificates", "curl", "sudo", "less", "nano",
        "procps", "kmod", "cloud-init", "cloud-guest-utils", "fio", "iperf3",
    ];

    /// <summary>Files of ours on the disk, by path.</summary>
    public static IReadOnlyDictionary<string, string> Files { get; } = new Dictionary<string, string>
    {
        ["etc/hostname"] = "debian\n",

        // cloud-init takes what it is given by a disk of the label "cidata" (cloud-init's documentation, "NoCloud"), or nothing.
        ["etc/cloud/cloud.cfg.d/90-vmm.cfg"] = "datasource_list: [ NoCloud, None ]\n",
        ["etc/default/grub.d/vmm.cfg"] = """
            GRUB_TIMEOUT=0
            GRUB_TERMINAL="console"
            GRUB_CMDLINE_LINUX="console=ttyAMA0"

            """.ReplaceLineEndings("\n"),
    };
}
