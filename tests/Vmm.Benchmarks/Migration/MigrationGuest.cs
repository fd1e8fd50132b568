using System.Diagnostics;
using System.Text;
using Vmm.Host.Guest;

namespace Vmm.Benchmarks.Migration;

/// <summary>What a guest does while it is migrated.</summary>
internal enum GuestLoad
{
    Idle,

    /// <summary>Writes 100 MB/s into 64 MiB, and checks what it has written.</summary>
    Write,

    /// <summary>What a build does: short processes, pipes, files; each result is compared with the first.</summary>
    Build,

    /// <summary>The above two, threads, timers and CPUs that are taken offline and online again.</summary>
    Stress,
}

/// <summary>
/// The guest of the migration tools: Debian's cloud kernel, busybox, programs of ours (<c>tests/payloads/migrant.c</c>, <c>load.c</c>), and
/// an init that answers lines of the console. It runs in Vmm and in QEMU.
/// </summary>
internal static class MigrationGuest
{
    /// <summary>The line that init prints when it listens.</summary>
    public const string Ready = "migration ready";

    /// <summary>How init's answers begin: then the word that was asked with, and what was found.</summary>
    public const string Answer = "migration answer ";

    /// <summary>How a line begins that says what a load found wrong.</summary>
    public const string Failed = "migration FAILED ";

    private const string Init =
        """
        #!/bin/busybox sh
        /bin/busybox mount -t proc proc /proc
        /bin/busybox mount -t sysfs sysfs /sys
        /bin/busybox mount -t devtmpfs devtmpfs /dev
        /bin/busybox mkdir -p /tmp
        /bin/busybox mount -t tmpfs tmpfs /tmp
        /bin/busybox --install -s /bin
        export PATH=/bin
        exec </dev/console >/dev/console 2>&1
        stty -echo
        cpus=/sys/devices/system/cpu
        same() { [ "$2" = "$3" ] || echo "migration FAILED $1: '$2', not '$3'"; }
        build() {
          first=$(load children 16 7)
          n=0
          while :; do
            n=$((n + 1)); d=/tmp/build/$1
            rm -rf $d; mkdir -p $d
            same children "$(load children 16 7)" "$first"
            i=0
            while [ $i -lt 40 ]; do
              i=$((i + 1)); mkdir $d/$i; echo "file $i" >$d/$i/a; cp $d/$i/a $d/$i/b
              cmp $d/$i/a $d/$i/b || echo "migration FAILED a copy"
            done
            same files "$(cat $d/*/b | wc -l)" 40
            same gzip "$(gzip -c /bin/busybox | gunzip -c | md5sum)" "$(md5sum </bin/busybox)"
          done
        }
        threads() { while :; do same threads "$(load threads 4 2000)" right; done; }
        toggle() {
          while :; do
            for cpu in $cpus/cpu[1-9]*; do
              [ ! -e $cpu/online ] || echo $((RANDOM % 2)) >$cpu/online
            done 2>/dev/null
            sleep 0.2
          done
        }
        bring_online() {
          while :; do
            for cpu in $cpus/cpu[1-9]*; do
              if [ -e $cpu/online ] && [ "$(cat $cpu/online)" = 0 ]; then echo 1 >$cpu/online; fi 2>/dev/null
            done
            sleep 0.3
          done
        }
        timers() { while :; do sleep 0.01; done; }
        migrant clock &
        echo "migration ready $(uname -r)"
        while read -r word what; do
          case $what in
            idle) : ;;
            write) migrant write 100 64 & ;;
            build) build 1 & build 2 & ;;
            stress) migrant write 20 32 & build 1 & threads & timers & toggle & bring_online & ;;
            report) echo "migration answer $word $(migrant report)" ;;
            cpus) echo "migration answer $word enabled $(cat $cpus/enabled)" ;;
          esac
          [ "$what" = report ] || [ "$what" = cpus ] || echo "migration answer $word started"
        done
        poweroff -f

        """;

    /// <summary>Builds the guest's programs and makes its initial RAM disk in a folder.</summary>
    /// <returns>Arguments that boot it, for Vmm and for QEMU.</returns>
    public static async Task<string[]> PrepareAsync(string folder, string suite = GuestKernel.DefaultSuite)
    {
        GuestFiles files = await GuestAssets.EnsureAsync(new GuestKernel(Suite: suite)).ConfigureAwait(false);
        var archive = new CpioArchive();
        archive.AddFile("init", Encoding.UTF8.GetBytes(Init.ReplaceLineEndings("\n")), 0x1ED);
        foreach (string program in (string[])["migrant", "load"])
        {
            string built = Path.Combine(folder, program);
            await CompileAsync(Path.Combine(VmmBuild.Root, "tests/payloads", program + ".c"), built).ConfigureAwait(false);
            archive.AddFile($"bin/{program}", await File.ReadAllBytesAsync(built).ConfigureAwait(false), 0x1ED);
        }

        // Linux unpacks archives that follow each other over each other.
        string initrd = Path.Combine(folder, "initrd");
        await File.WriteAllBytesAsync(
            initrd, [.. await File.ReadAllBytesAsync(files.Initramfs).ConfigureAwait(false), .. archive.ToArray()]).ConfigureAwait(false);

        // Without nokaslr the kernel takes page table isolation for CPU models without E0PD, which is slow in QEMU.
        return
        [
            "-kernel", files.Kernel, "-initrd", initrd,
            "-append", "console=ttyAMA0 loglevel=5 panic=-1 nokaslr watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=120",
        ];
    }

    private static async Task CompileAsync(string source, string program)
    {
        using Process compiler = Process.Start(new ProcessStartInfo(
            "aarch64-linux-gnu-gcc", ["-O2", "-Wall", "-static", "-pthread", "-o", program, source]) { RedirectStandardError = true })!;
        string errors = await compiler.StandardError.ReadToEndAsync().ConfigureAwait(false);
        await compiler.WaitForExitAsync().ConfigureAwait(false);
        if (compiler.ExitCode != 0)
        {
            throw new IOException($"{source} does not compile:\n{errors}");
        }
    }
}
