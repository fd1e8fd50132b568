using Vmm.Emulation.Interrupts;
using GicCore = Vmm.Emulation.Interrupts.GicV3.Gic;

namespace Vmm.Emulation.Tests.Gic;

/// <summary>A change at the distributor looks at the CPUs that it concerns and at no other.</summary>
public sealed class GicUpdateTests
{
    private const ulong GICD_CTLR = 0;
    private const ulong GICD_IGROUPR = 0x80;
    private const ulong GICD_ISENABLER = 0x100;
    private const ulong GICD_ICENABLER = 0x180;
    private const ulong GICD_ISPENDR = 0x200;
    private const ulong GICD_IPRIORITYR = 0x400;
    private const ulong GICD_ICFGR = 0xC00;
    private const ulong GICD_IROUTER = 0x6000;
    private const ulong Any = 1ul << 31;
    private const int Id = 40;
    private const uint Bit = 1u << (Id & 31);

    private readonly CountingInputs[] _cpus = [new(), new(), new(), new()];
    private readonly GicCore _gic = new(4);

    public GicUpdateTests()
    {
        for (int i = 0; i < _cpus.Length; i++)
        {
            _gic.CpuInterfaces[i].Connect(_cpus[i]);
            _gic.CpuInterfaces[i].SetAccessible(true);
            _gic.CpuInterfaces[i].PriorityMaskRegister = 0xF8;
            _gic.CpuInterfaces[i].Group1Enable = 1;
        }

        _gic.Distributor.Write(GICD_CTLR, 4, 3);
        _gic.Distributor.Write(GICD_IGROUPR + 4, 4, uint.MaxValue);
        _gic.Distributor.Write(GICD_IROUTER + (8 * Id), 8, 2);
    }

    private int[] Concerned(Action change)
    {
        Array.ForEach(_cpus, c => c.Looks = 0);
        change();
        return [.. Enumerable.Range(0, _cpus.Length).Where(i => _cpus[i].Looks > 0)];
    }

    [Fact]
    public void Write_of_a_register_updates_the_target_of_what_it_changes()
    {
        Assert.Equal([2], Concerned(() => _gic.Distributor.Write(GICD_ISENABLER + 4, 4, Bit)));
        Assert.Equal([2], Concerned(() => _gic.Distributor.Write(GICD_IPRIORITYR + Id, 1, 0x80)));
        Assert.Equal([2], Concerned(() => _gic.Distributor.Write(GICD_ICFGR + (Id / 16 * 4), 4, 2u << (Id % 16 * 2))));
        Assert.Equal([2], Concerned(() => _gic.Distributor.Write(GICD_ISPENDR + 4, 4, Bit)));
        Assert.Equal(ICpuInputs.Irq, _cpus[2].Inputs);
        Assert.Equal([2], Concerned(() => _gic.Distributor.Write(GICD_ICENABLER + 4, 4, Bit)));
        Assert.Equal(0, _cpus[2].Inputs);
    }

    [Fact]
    public void Write_that_changes_nothing_updates_no_cpu() => Assert.Empty(Concerned(() =>
    {
        _gic.Distributor.Write(GICD_ICENABLER + 4, 4, uint.MaxValue);
        _gic.Distributor.Write(GICD_IGROUPR + 4, 4, uint.MaxValue);
        _gic.Distributor.Write(GICD_ISENABLER, 4, uint.MaxValue); // of SGIs and PPIs
    }));

    [Fact]
    public void Write_of_the_route_moves_a_pending_interrupt_from_one_cpu_to_the_other()
    {
        _gic.Distributor.Write(GICD_ISENABLER + 4, 4, Bit);
        _gic.Distributor.Write(GICD_ISPENDR + 4, 4, Bit);
        Assert.Equal([2, 3], Concerned(() => _gic.Distributor.Write(GICD_IROUTER + (8 * Id), 8, 3)));
        Assert.Equal([0, 0, 0, ICpuInputs.Irq], _cpus.Select(c => c.Inputs));
        Assert.Equal([0, 3], Concerned(() => _gic.Distributor.Write(GICD_IROUTER + (8 * Id), 8, Any)));
        Assert.Equal([ICpuInputs.Irq, 0, 0, 0], _cpus.Select(c => c.Inputs));
    }

    [Fact]
    public void Interrupt_for_any_cpu_moves_when_its_target_no_longer_takes_part()
    {
        _gic.Distributor.Write(GICD_IROUTER + (8 * Id), 8, Any);
        _gic.Distributor.Write(GICD_ISENABLER + 4, 4, Bit);
        _gic.Distributor.Write(GICD_ISPENDR + 4, 4, Bit);
        _gic.CpuInterfaces[0].Group1Enable = 0;
        Assert.Equal([0, ICpuInputs.Irq, 0, 0], _cpus.Select(c => c.Inputs));
        _gic.CpuInterfaces[1].SetAccessible(false);
        Assert.Equal([0, 0, ICpuInputs.Irq, 0], _cpus.Select(c => c.Inputs));

        // In group 0 no CPU takes it.
        _gic.Distributor.Write(GICD_IGROUPR + 4, 4, ~Bit);
        Assert.Equal([0, 0, 0, 0], _cpus.Select(c => c.Inputs));
    }

    private sealed class CountingInputs : ICpuInputs
    {
        private int _inputs;

        /// <summary>How often the GIC has asked what is asserted, as it does at each update.</summary>
        public int Looks { get; set; }

        public int Inputs
        {
            get
            {
                Looks++;
                return _inputs;
            }
        }

        public void SetInput(int input, bool level) => _inputs = level ? _inputs | input : _inputs & ~input;
    }
}
