using System.Globalization;
using Vmm.Benchmarks.Hotplug;
using Xunit.Abstractions;

namespace Vmm.Guest.Tests;

/// <summary>
/// The soaks of <c>bench/hotplug</c>, shorter: <c>VMM_SOAK</c> multiplies their length (50 is that of the bench). A failure prints the seed
/// and the rounds that lead to it.
/// </summary>
public sealed class HotplugSoakTests(ITestOutputHelper output)
{
    // Hosts under load take their time; what a quiet one needs is bounded by bench/hotplug soak.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    private static readonly string[] s_vmm = ["dotnet", Path.Combine(AppContext.BaseDirectory, "vmm.dll")];

    private static int Factor => int.TryParse(Environment.GetEnvironmentVariable("VMM_SOAK"), NumberStyles.None,
        CultureInfo.InvariantCulture, out int factor) ? factor : 1;

    [LongFact]
    public async Task Requests_at_random_moments_of_boot_reset_stop_and_cont_end_once()
    {
        var said = new StringWriter();
        int failed = await new HotplugSoak(s_vmm, Random.Shared.Next(1_000_000), s_patience, said, log: null)
            .RunAsync(first: 0, rounds: 10 * Factor, resets: 4 * Factor);
        output.WriteLine(said.ToString());
        Assert.True(failed == 0, said.ToString());
    }

    [LongFact]
    public async Task Acknowledged_requests_outlive_kills_at_random_moments()
    {
        var said = new StringWriter();
        int failed = await new KillSoak(s_vmm, Random.Shared.Next(1_000_000), said).RunAsync(kills: 4 * Factor);
        output.WriteLine(said.ToString());
        Assert.True(failed == 0, said.ToString());
    }
}
