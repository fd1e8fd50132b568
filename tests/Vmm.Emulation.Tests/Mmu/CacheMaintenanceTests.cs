using Vmm.Emulation.Cpu;

namespace Vmm.Emulation.Tests.Mmu;

/// <summary>The TLB and cache maintenance by address, which goes through a page line by line.</summary>
public sealed unsafe class CacheMaintenanceTests : IDisposable
{
    private const ulong Page = 0x10_0000;
    private const uint DcCvau = 0xD50B_7B20;
    private const uint IcIvau = 0xD50B_7520;

    private readonly TranslatedCores _machine = new(1);

    private VcpuCore Core => _machine.Cores[0];

    public void Dispose() => _machine.Dispose();

    [Theory]
    [InlineData(DcCvau)]
    [InlineData(IcIvau)]
    public void Page_is_looked_up_once(uint instruction)
    {
        _machine.Map(_machine.Root, Page, TranslatedCores.Frames);
        Assert.Equal(1, FillsOf(instruction));
        Assert.Equal(TranslatedCores.Frames, Core.Bus.AddressOf((byte*)_machine.Host(TranslatedCores.Frames)));
    }

    /// <summary>PAN does not hold for these instructions (Arm ARM D8.4.13.1), but what they find is nothing for loads.</summary>
    [Theory]
    [InlineData(DcCvau)]
    [InlineData(IcIvau)]
    public void Page_of_EL0_is_found_with_PAN_and_not_given_to_loads(uint instruction)
    {
        _machine.Map(
            _machine.Root, Page, TranslatedCores.Frames, TranslatedCores.Normal | TranslatedCores.NonGlobal | TranslatedCores.El0);
        Core.SetPstate(Core.State->Pstate | Pstate.Pan);
        Assert.Equal(0, FillsOf(instruction));
        Core.State->X[0] = Page;

        // LDR X1, [X0].
        Assert.False(_machine.Execute(Core, 0xF940_0001));
    }

    [Theory]
    [InlineData(DcCvau)]
    [InlineData(IcIvau)]
    public void Page_that_is_not_mapped_any_more_faults(uint instruction)
    {
        _machine.Map(_machine.Root, Page, TranslatedCores.Frames);
        _ = FillsOf(instruction);
        *_machine.Host(_machine.Descriptor(_machine.Root, Page)) = 0;

        // TLBI VMALLE1.
        Assert.True(_machine.Execute(Core, 0xD508_871F));
        Core.State->X[0] = Page + 64;
        Assert.False(_machine.Execute(Core, instruction));
        Assert.Equal(Page + 64, Core.State->FarEl1);
    }

    // Maintains all lines of the page; how many entries of the TLB that has filled.
    private long FillsOf(uint instruction)
    {
        long before = Core.Counters.DataTlbFills;
        for (ulong line = 0; line < 4096; line += 64)
        {
            Core.State->X[0] = Page + line;
            Assert.True(_machine.Execute(Core, instruction));
        }

        return Core.Counters.DataTlbFills - before;
    }
}
