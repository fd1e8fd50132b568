using System.Text;

namespace Vmm.Host.Guest;

/// <summary>The guest's user space: busybox, and an init that gives a shell on the console.</summary>
public static class Initramfs
{
    /// <summary>The prompt of the shell.</summary>
    public const string Prompt = "vmm# ";

    /// <summary>The line that init prints just before the shell.</summary>
    public const string Banner = "Vmm guest is up";

    // The shell may be ended by Ctrl-D. The machine is then powered off, because the end of init would be a kernel panic.
    private const string Init =
        $"""
        #!/bin/busybox sh
        /bin/busybox mount -t proc proc /proc
        /bin/busybox mount -t sysfs sysfs /sys
        /bin/busybox mount -t devtmpfs devtmpfs /dev
        /bin/busybox --install -s /bin
        export PATH=/bin HOME=/root TERM=vt102 PS1='{Prompt}'
        hostname vmm
        cd /root
        echo "{Banner}: Linux $(uname -r)"
        setsid cttyhack sh
        poweroff -f

        """;

    /// <param name="busybox">A static AArch64 busybox.</param>
    /// <returns>An uncompressed cpio archive: the same bytes for the same busybox.</returns>
    public static byte[] Build(ReadOnlySpan<byte> busybox)
    {
        var archive = new CpioArchive();
        foreach (string folder in (ReadOnlySpan<string>)["bin", "dev", "etc", "proc", "root", "sys", "tmp"])
        {
            archive.AddDirectory(folder);
        }

        archive.AddCharacterDevice("dev/console", 5, 1);
        archive.AddCharacterDevice("dev/null", 1, 3, 0x1B6);
        archive.AddFile("bin/busybox", busybox, 0x1ED);
        archive.AddSymbolicLink("bin/sh", "busybox");
        archive.AddFile("init", Encoding.UTF8.GetBytes(Init.ReplaceLineEndings("\n")), 0x1ED);
        return archive.ToArray();
    }
}
