namespace Vmm.Guest.Tests;

/// <summary>A stock Debian on a disk, as <c>vmm demo --distro</c> drives it.</summary>
public sealed class DistroTests
{
    [LongFact]
    public async Task Debian_boots_is_reached_by_ssh_and_works_while_cpus_come_and_go()
    {
        (int exit, string output, string errors) = await VmmProcess.RunAsync(["demo", "--distro"]);
        Assert.True(exit == 0, output + errors);
        Assert.Contains("ok      fio ends with: 0", output, StringComparison.Ordinal);
        Assert.Contains("ok      iperf3 ends with: 0", output, StringComparison.Ordinal);
    }
}
