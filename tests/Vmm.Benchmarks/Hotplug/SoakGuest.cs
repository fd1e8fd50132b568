using System.Text;
using Vmm.Host.Guest;

namespace Vmm.Benchmarks.Hotplug;

/// <summary>
/// The guest of the hotplug tools: Debian's cloud kernel, busybox, and an init that keeps CPUs busy and answers lines of the console.
/// </summary>
internal static class SoakGuest
{
    /// <summary>The line that init prints when it listens.</summary>
    public const string Ready = "soak ready";

    /// <summary>How init's answers begin: then the word that was asked with, and what was found.</summary>
    public const string Answer = "soak answer ";

    // The busy loops go on while CPUs come and go. Whatever is enabled is brought online.
    private const string Init =
        """
        #!/bin/busybox sh
        /bin/busybox mount -t proc proc /proc
        /bin/busybox mount -t sysfs sysfs /sys
        /bin/busybox mount -t devtmpfs devtmpfs /dev
        /bin/busybox --install -s /bin
        export PATH=/bin
        exec </dev/console >/dev/console 2>&1
        stty -echo
        cpus=/sys/devices/system/cpu
        bring_online() {
          while :; do
            for cpu in $cpus/cpu[0-9]*; do
              if [ -e $cpu/online ] && [ "$(cat $cpu/online)" = 0 ]; then echo 1 >$cpu/online; fi 2>/dev/null
            done
            sleep 0.05
          done
        }
        n=0
        while [ $n -lt "${busy:-0}" ]; do n=$((n + 1)); (while :; do :; done) & done
        [ "${online:-no}" = no ] || bring_online &
        echo "soak ready $(uname -r)"
        while read -r word what cpu; do
          case $what in
            reboot) reboot -f ;;
            on) echo 1 >$cpus/cpu$cpu/online; echo "soak answer $word" ;;
            off) echo 0 >$cpus/cpu$cpu/online; echo "soak answer $word" ;;
            cpus) echo "soak answer $word enabled $(cat $cpus/enabled) online $(cat $cpus/online)" ;;
          esac
        done
        poweroff -f

        """;

    /// <summary>Makes the initial RAM disk.</summary>
    /// <returns>Arguments of <c>vmm run</c> that boot it; the busy loops are as many as <paramref name="busy"/>.</returns>
    public static async Task<string[]> PrepareAsync(string folder, int busy, bool bringOnline)
    {
        GuestFiles files = await GuestAssets.EnsureAsync(new GuestKernel()).ConfigureAwait(false);

        // Linux unpacks archives that follow each other over each other.
        byte[] initrd = [.. await File.ReadAllBytesAsync(files.Initramfs).ConfigureAwait(false), .. Pack()];
        return await ArgumentsAsync(folder, files.Kernel, initrd, "ttyAMA0", busy, bringOnline).ConfigureAwait(false);
    }

    /// <summary>The same guest for a PC.</summary>
    /// <param name="programs">A folder with vmlinuz and busybox of amd64.</param>
    /// <returns>Arguments of QEMU's x86 emulator that boot it.</returns>
    public static async Task<string[]> PrepareX86Async(string folder, string programs)
    {
        byte[] busybox = await File.ReadAllBytesAsync(Path.Combine(programs, "busybox")).ConfigureAwait(false);
        byte[] initrd = [.. Initramfs.Build(busybox), .. Pack()];
        return await ArgumentsAsync(folder, Path.Combine(programs, "vmlinuz"), initrd, "ttyS0", 0, bringOnline: false)
            .ConfigureAwait(false);
    }

    private static byte[] Pack()
    {
        var init = new CpioArchive();
        init.AddFile("init", Encoding.UTF8.GetBytes(Init.ReplaceLineEndings("\n")), 0x1ED);
        return init.ToArray();
    }

    private static async Task<string[]> ArgumentsAsync(
        string folder, string kernel, byte[] initrd, string console, int busy, bool bringOnline)
    {
        string file = Path.Combine(folder, "initrd");
        await File.WriteAllBytesAsync(file, initrd).ConfigureAwait(false);
        return
        [
            "-m", "300M", "-kernel", kernel, "-initrd", file,
            "-append", $"console={console} loglevel=5 panic=-1 busy={busy} online={(bringOnline ? "yes" : "no")}",
        ];
    }
}
