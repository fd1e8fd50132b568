using System.Diagnostics;

namespace Vmm.Fleet.Tests;

/// <summary>The units of a node and its VMs, as systemd itself reads them.</summary>
public sealed class SystemdUnitTests
{
    private const string Vms = "vmm-vms.service";

    private static async Task<(int Code, string Said)> VerifyAsync(string unit)
    {
        string folder = Directory.CreateTempSubdirectory("vmm-").FullName;
        try
        {
            string file = Path.Combine(folder, "vmm-node.service");
            await File.WriteAllTextAsync(file, unit);
            string vms = Path.Combine(folder, Vms);
            File.Copy(Path.Combine(AppContext.BaseDirectory, Vms), vms);
            using Process verify = Process.Start(new ProcessStartInfo("systemd-analyze", ["verify", "--man=no", file, vms])
            {
                RedirectStandardError = true,
            })!;
            string said = await verify.StandardError.ReadToEndAsync();
            await verify.WaitForExitAsync().WaitAsync(Patience.Limit);

            // It looks at other units that this one names, too.
            return (verify.ExitCode, string.Join('\n', said.Split('\n').Where(l => l.Contains(file, StringComparison.Ordinal)
                || l.Contains("vmm-", StringComparison.Ordinal))));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Nothing of it is unknown or wrong; a setting that systemd does not know would be told.</summary>
    [Fact]
    public async Task Systemd_understands_the_units()
    {
        string unit = (await File.ReadAllTextAsync(Path.Combine(AppContext.BaseDirectory, "vmm-node.service")))
            .Replace("/usr/local/bin/vmm", Path.Combine(AppContext.BaseDirectory, "vmm"), StringComparison.Ordinal);
        Assert.Equal((0, ""), await VerifyAsync(unit));

        // Releases of systemd have different words for it.
        Assert.Contains(
            "KillMod'", (await VerifyAsync(unit.Replace("KillMode", "KillMod", StringComparison.Ordinal))).Said, StringComparison.Ordinal);
    }
}
