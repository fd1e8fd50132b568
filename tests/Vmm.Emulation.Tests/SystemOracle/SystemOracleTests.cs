using System.Text;

namespace Vmm.Emulation.Tests.SystemOracle;

/// <summary>
/// Bare-metal payloads print the same under <c>qemu-system-aarch64</c> and under our machine: exceptions, translation, interrupts, timers,
/// power control. What is expected is never stored; QEMU says it in the same run.
/// </summary>
public sealed class SystemOracleTests
{
    private const int ShownDifferences = 20;

    [Theory]
    [InlineData("exceptions", "neoverse-n1", 1)]
    [InlineData("exceptions", "cortex-a57", 1)]
    [InlineData("mmu_faults", "neoverse-n1", 1)]
    [InlineData("mmu_permissions", "neoverse-n1", 1)]
    [InlineData("mmu_regions", "neoverse-n1", 1)]
    [InlineData("gic_registers", "neoverse-n1", 1)]
    [InlineData("gic_interrupts", "neoverse-n1", 1)]
    [InlineData("gic_preemption", "neoverse-n1", 1)]
    [InlineData("gic_smp", "neoverse-n1", 3)]
    [InlineData("timers", "neoverse-n1", 1)]
    [InlineData("psci", "neoverse-n1", 3)]
    public async Task Payload_prints_the_same_as_under_qemu(string payload, string cpuModel, int cpus)
    {
        using var program = new SystemPayload(payload);
        Task<string> expected = Task.Run(() => new QemuMachine().Run(program.Image, cpuModel, cpus));
        string actual = new EngineMachine().Run(program.Image, cpuModel, cpus);
        AssertSameText(await expected, actual);
    }

    private static void AssertSameText(string expected, string actual)
    {
        Assert.EndsWith(SystemPayload.LastLine, expected, StringComparison.Ordinal);
        if (expected == actual)
        {
            return;
        }

        string[] theirs = expected.Split('\n');
        string[] ours = actual.Split('\n');
        var report = new StringBuilder();
        int shown = 0;
        for (int i = 0; i < Math.Max(theirs.Length, ours.Length) && shown < ShownDifferences; i++)
        {
            string their = i < theirs.Length ? theirs[i] : "(nothing)";
            string our = i < ours.Length ? ours[i] : "(nothing)";
            if (their != our)
            {
                report.Append($"\nline {i + 1}\n  qemu: {their}\n  vmm:  {our}");
                shown++;
            }
        }

        Assert.Fail($"the texts of {theirs.Length} and {ours.Length} lines differ:{report}");
    }
}
