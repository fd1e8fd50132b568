using ArchUnitNET.Loader;
using ArchUnitNET.xUnit;
using Vmm.Emulation.Boards.Virt;
using static ArchUnitNET.Fluent.ArchRuleDefinition;

namespace Vmm.Architecture.Tests;

/// <summary>Which namespace of Emulation may refer to which: one way only (ARCHITECTURE.md).</summary>
public sealed class EmulationLayerTests
{
    private static readonly Lazy<ArchUnitNET.Domain.Architecture> s_types = new(() => new ArchLoader().LoadAssemblies(typeof(VirtMachine).Assembly).Build());

    /// <summary>Boot, which knows no board, stands between boards in general and each of them.</summary>
    [Theory]
    [InlineData("Devices", "Boards|Boot")]
    [InlineData("Boot", "Boards\\.Virt")]
    [InlineData("Interrupts", "Cpu|Devices|Boards|Boot")]
    [InlineData("Memory", "Interrupts|Devices|Boards|Boot")]
    [InlineData("Cpu", "Devices|Boards|Boot")]
    public void Layers_refer_one_way(string layer, string above) =>
        Types().That().ResideInNamespaceMatching($"^Vmm\\.Emulation\\.{layer}(\\.|$)").Should()
            .NotDependOnAny(Types().That().ResideInNamespaceMatching($"^Vmm\\.Emulation\\.({above})(\\.|$)"))
            .Check(s_types.Value);

    [Fact]
    public void Devices_do_not_refer_to_each_other()
    {
        const string Devices = "Vmm.Emulation.Devices.";
        string[] devices = [.. typeof(VirtMachine).Assembly.GetTypes().Select(t => t.Namespace ?? "").Where(n => n.StartsWith(Devices, StringComparison.Ordinal)).Distinct()];
        Assert.True(devices.Length > 5);
        foreach (string device in devices)
        {
            string others = string.Join('|', devices.Where(d => d != device).Select(d => d[Devices.Length..]));
            Types().That().ResideInNamespaceMatching($"^{device.Replace(".", "\\.", StringComparison.Ordinal)}$").Should()
                .NotDependOnAny(Types().That().ResideInNamespaceMatching($"^Vmm\\.Emulation\\.Devices\\.({others})$"))
                .Check(s_types.Value);
        }
    }
}
