using System.Diagnostics;
using System.Globalization;
using System.Text;
using Vmm.Host.Guest;

namespace Vmm.Benchmarks;

/// <summary>Seconds from starting the <c>vmm</c> process until the guest's init speaks: Debian's cloud kernel, one CPU, 512 MiB.</summary>
internal static class BootBenchmark
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(3);

    public static async Task<int> RunAsync(int runs)
    {
        GuestFiles files = await GuestAssets.EnsureAsync(new GuestKernel()).ConfigureAwait(false);
        string vmm = VmmBuild.Program()[0];

        var seconds = new double[runs];
        for (int i = 0; i < runs; i++)
        {
            seconds[i] = await BootAsync(vmm, files).ConfigureAwait(false);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"boot to init: {seconds[i]:F2} s"));
        }

        Array.Sort(seconds);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"boot to init, median of {runs}: {seconds[runs / 2]:F2} s"));
        return 0;
    }

    private static async Task<double> BootAsync(string vmm, GuestFiles files)
    {
        var clock = Stopwatch.StartNew();
        using Process guest = Start(
            vmm, "run", "--kernel", files.Kernel, "--initrd", files.Initramfs, "--append", "console=ttyAMA0 quiet", "--memory", "512M");
        using var timeout = new CancellationTokenSource(s_patience);
        var said = new StringBuilder();
        byte[] buffer = new byte[4096];
        try
        {
            while (!said.ToString().Contains(Initramfs.Banner, StringComparison.Ordinal))
            {
                int count = await guest.StandardOutput.BaseStream.ReadAsync(buffer, timeout.Token).ConfigureAwait(false);
                if (count == 0)
                {
                    throw new InvalidOperationException($"the guest ended without reaching init: {said}");
                }

                said.Append(Encoding.UTF8.GetString(buffer, 0, count));
            }

            return clock.Elapsed.TotalSeconds;
        }
        finally
        {
            guest.Kill(entireProcessTree: true);
        }
    }

    private static Process Start(string program, params string[] arguments) => Process.Start(
        new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
}
