using System.Text;
using Vmm.Emulation.Boards;

namespace Vmm.Emulation.Tests.SystemOracle;

/// <summary>
/// Bare-metal payloads print the same under <c>qemu-system-aarch64</c> and under our machine: exceptions, translation, interrupts, timers,
/// power control. What is expected is never stored; QEMU says it in the same run.
/// </summary>
public sealed class SystemOracleTests
{
    private const int ShownDifferences = 40;

    [Theory]
    [InlineData("exceptions", "neoverse-n1", 1)]
    [InlineData("exceptions", "cortex-a57", 1)]
    [InlineData("nowhere", "neoverse-n1", 1)]
    [InlineData("mmu_faults", "neoverse-n1", 1)]
    [InlineData("mmu_permissions", "neoverse-n1", 1)]
    [InlineData("mmu_regions", "neoverse-n1", 1)]
    [InlineData("mmu_random", "neoverse-n1", 1)]
    [InlineData("gic_registers", "neoverse-n1", 1)]
    [InlineData("gic_interrupts", "neoverse-n1", 1)]
    [InlineData("gic_preemption", "neoverse-n1", 1)]
    [InlineData("gic_random", "neoverse-n1", 1)]
    [InlineData("gic_smp", "neoverse-n1", 3)]
    [InlineData("its", "neoverse-n1", 2)]
    [InlineData("its_random", "neoverse-n1", 2)]
    [InlineData("gicv2m", "cortex-a57,msi=gicv2m", 1)]
    [InlineData("timers", "neoverse-n1", 1)]
    [InlineData("timer_status", "neoverse-n1", 1)]
    [InlineData("counter", "neoverse-n1", 1)]
    [InlineData("counter", "max", 1)]
    [InlineData("endian", "neoverse-n1", 1)]
    [InlineData("identification", "cortex-a57", 1)]
    [InlineData("identification", "cortex-a72", 1)]
    [InlineData("identification", "neoverse-n1", 1)]
    [InlineData("random", "max", 1)]
    [InlineData("pmu", "cortex-a57", 1)]
    [InlineData("pmu", "neoverse-n1", 1)]
    [InlineData("pmu", "max", 1)]
    [InlineData("mmu_max", "max", 1)]
    [InlineData("mmu_52", "max", 1)]
    [InlineData("mmu_52", "max,lpa2=off", 1)]
    [InlineData("tlbi_range", "max", 1)]
    [InlineData("bti", "max", 1)]
    [InlineData("mops", "max", 1)]
    [InlineData("pauth", "max,pauth-qarma3=on", 1)]
    [InlineData("pauth", "max,pauth-qarma5=on", 1)]
    [InlineData("mte", "max", 1)]
    [InlineData("mte", "max,mte=on", 1)]
    [InlineData("sve", "max,sve=on", 1)]
    [InlineData("sve", "max,sve-max-vq=4", 1)]
    [InlineData("sve_memory", "max,sve=on", 1)]
    [InlineData("sve_memory", "max,sve=on,mte=on", 1)]
    [InlineData("psci", "neoverse-n1", 3)]
    [InlineData("eret", "neoverse-n1", 1)]
    [InlineData("at", "neoverse-n1", 1)]
    [InlineData("alignment", "neoverse-n1", 1)]
    [InlineData("alignment", "max", 1)]
    [InlineData("lse2", "max", 1)]
    [InlineData("exclusives", "neoverse-n1", 1)]
    [InlineData("dc_zva", "neoverse-n1", 1)]
    [InlineData("step", "neoverse-n1", 1)]
    [InlineData("breakpoints", "neoverse-n1", 1)]
    [InlineData("tlbi", "neoverse-n1", 2)]
    [InlineData("registers", "cortex-a57", 1)]
    [InlineData("registers", "cortex-a72", 1)]
    [InlineData("registers", "neoverse-n1", 1)]
    [InlineData("armv82", "cortex-a55", 1)]
    [InlineData("armv82", "neoverse-n1", 1)]
    [InlineData("armv82", "neoverse-v1", 1)]
    public async Task Payload_prints_the_same_as_under_qemu(string payload, string cpuModel, int cpus)
    {
        using var program = new SystemPayload(payload);
        Task<string> expected = Task.Run(() => new QemuMachine().Run(program.Image, cpuModel, cpus));
        foreach (Accelerator accelerator in Enum.GetValues<Accelerator>())
        {
            string actual = new EngineMachine(accelerator).Run(program.Image, cpuModel, cpus);
            AssertSameText(await expected, actual);
        }
    }

    /// <summary>As after a postcopy migration.</summary>
    [Theory]
    [InlineData("mmu_random", 1)]
    [InlineData("exceptions", 1)]
    [InlineData("exclusives", 1)]
    [InlineData("dc_zva", 1)]
    [InlineData("step", 1)]
    [InlineData("breakpoints", 1)]
    [InlineData("gic_smp", 3)]
    [InlineData("tlbi", 2)]
    [InlineData("psci", 3)]
    public void Payload_prints_the_same_while_its_RAM_arrives(string payload, int cpus)
    {
        using var program = new SystemPayload(payload);
        string expected = new EngineMachine(Accelerator.Interpreter).Run(program.Image, "neoverse-n1", cpus);
        foreach (Accelerator accelerator in Enum.GetValues<Accelerator>())
        {
            AssertSameText(expected, new EngineMachine(accelerator, arrives: true).Run(program.Image, "neoverse-n1", cpus));
        }
    }

    /// <summary>Where QEMU 7.2 is wrong, the payload itself knows what the manuals say.</summary>
    [Theory]
    [InlineData("architecture", "neoverse-n1", Accelerator.Interpreter)]
    [InlineData("architecture", "neoverse-n1", Accelerator.Jit)]
    [InlineData("pmu_counts", "cortex-a57", Accelerator.Interpreter)]
    [InlineData("pmu_counts", "neoverse-n1", Accelerator.Jit)]
    [InlineData("pmu_counts", "max", Accelerator.Interpreter)]
    [InlineData("pmu_counts", "max", Accelerator.Jit)]
    [InlineData("pmu_counts", "max", Accelerator.Lockstep)]
    [InlineData("sve_checks", "max,sve=on", Accelerator.Interpreter)]
    [InlineData("sve_checks", "max,sve=on,mte=on", Accelerator.Interpreter)]
    [InlineData("sve_checks", "max,sve=on,mte=on", Accelerator.Jit)]
    [InlineData("sve_checks", "max,sve=on,mte=on", Accelerator.Lockstep)]
    public void Payload_finds_the_architecture_where_qemu_differs_from_it(string payload, string cpuModel, Accelerator accelerator)
    {
        using var program = new SystemPayload(payload);
        string text = new EngineMachine(accelerator).Run(program.Image, cpuModel, 1);
        Assert.EndsWith(SystemPayload.LastLine, text, StringComparison.Ordinal);
        string[] verdicts = text[..^SystemPayload.LastLine.Length].TrimEnd().Split('\n');
        string wrong = string.Join('\n', verdicts.Where(line => !line.EndsWith("right", StringComparison.Ordinal)));
        Assert.True(wrong.Length == 0, wrong);
    }

    private static void AssertSameText(string expected, string actual)
    {
        Assert.EndsWith(SystemPayload.LastLine, expected, StringComparison.Ordinal);
        if (expected == actual)
        {
            return;
        }

        var report = new StringBuilder();
        foreach (string line in Difference(expected.Split('\n'), actual.Split('\n')).Take(ShownDifferences))
        {
            report.Append('\n').Append(line);
        }

        Assert.Fail("the texts differ:" + report);
    }

    // The lines that are not common to both, in order, by their longest common subsequence.
    private static IEnumerable<string> Difference(string[] qemu, string[] vmm)
    {
        int[,] common = new int[qemu.Length + 1, vmm.Length + 1];
        for (int i = qemu.Length - 1; i >= 0; i--)
        {
            for (int j = vmm.Length - 1; j >= 0; j--)
            {
                common[i, j] = qemu[i] == vmm[j] ? common[i + 1, j + 1] + 1 : Math.Max(common[i + 1, j], common[i, j + 1]);
            }
        }

        int their = 0;
        int our = 0;
        while (their < qemu.Length || our < vmm.Length)
        {
            if (their < qemu.Length && our < vmm.Length && qemu[their] == vmm[our])
            {
                their++;
                our++;
            }
            else if (their < qemu.Length && (our == vmm.Length || common[their + 1, our] >= common[their, our + 1]))
            {
                yield return $"{their + 1,5} qemu: {qemu[their++]}";
            }
            else
            {
                yield return $"{our + 1,5} vmm:  {vmm[our++]}";
            }
        }
    }
}
