using Vmm.Emulation.Interrupts;
using Vmm.Emulation.State;
using Vmm.Emulation.Tests.Devices;

namespace Vmm.Emulation.Tests.Gic;

public sealed class GicFixtureTests : DeviceFixture
{
    internal override Subject Create()
    {
        // The words live as long as the process: a fixture makes few of them.
        var gic = new GicHarness(3, configure: false);
        return new Subject(
            gic.Core,
            [gic.Core.Distributor, gic.Core.RedistributorRegions[0]],
            [0x1_0000, 0x6_0000],
            gic.Core.Reset,
            gic);
    }

    internal override void Disturb(Subject subject)
    {
        var gic = (GicHarness)subject.Device;
        gic.Configure();
        gic.WriteGicd(0x204, 0x12);
        gic.MakeEdge(40);
        gic.Cpu(1).SendSgi(1ul << 40 | 5ul << 24, true);
        gic.Cpu(0).Acknowledge(true);
        gic.Cpu(2).Control = 2;
    }
}

public sealed class GicTests : IDisposable
{
    private const ulong Spurious = 1023;
    private readonly GicHarness _gic = new(4);

    public void Dispose() => _gic.Dispose();

    /// <summary>
    /// A timer is loaded before the GIC, and may have expired at the moment of saving without its output having risen yet.
    /// </summary>
    [Fact]
    public void Line_that_rose_after_the_gic_was_saved_interrupts_when_it_is_loaded()
    {
        InterruptLine timer = _gic.Core.PpiLine(new CpuIndex(1), new IntId(27));
        SavedUnit saved = SavedUnit.Of(_gic.Core);
        timer.Set(true);
        saved.LoadInto(_gic.Core);
        Assert.True(_gic.Irq(1));
        timer.Set(false);
        Assert.False(_gic.Irq(1));
    }

    [Fact]
    public void Gic_identification_and_type_registers_are_those_of_a_GICv3_with_288_interrupts()
    {
        Assert.Equal(0x53u, _gic.ReadGicd(0));
        Assert.Equal(0x0178_0008u, _gic.ReadGicd(4));
        Assert.Equal(0x3Bu, _gic.ReadGicd(0xFFE8));
        Assert.Equal(0x3Bu, _gic.ReadGicr(3, 0xFFE8));
        Assert.Equal(0x200u, _gic.ReadGicr(2, 8));
        Assert.Equal(0x310u, _gic.ReadGicr(3, 8));
        Assert.Equal(3u, _gic.ReadGicr(3, 12));
    }

    [Fact]
    public void Gic_level_interrupt_is_pending_while_its_line_is_high()
    {
        InterruptLine line = _gic.Spi(33);
        line.Set(true);
        Assert.True(_gic.Irq(0));
        Assert.Equal(33ul, _gic.Cpu(0).Acknowledge(true));
        Assert.False(_gic.Irq(0));
        _gic.Cpu(0).EndOfInterrupt(33, true);
        Assert.True(_gic.Irq(0));
        line.Set(false);
        Assert.False(_gic.Irq(0));
        Assert.Equal(Spurious, _gic.Cpu(0).Acknowledge(true));
    }

    [Fact]
    public void Gic_edge_interrupt_is_latched_until_acknowledged_and_again_while_active()
    {
        _gic.MakeEdge(41);
        InterruptLine line = _gic.Spi(41);
        line.Pulse();
        Assert.Equal(41ul, _gic.Cpu(0).Acknowledge(true));
        line.Pulse();
        Assert.False(_gic.Irq(0));
        _gic.Cpu(0).EndOfInterrupt(41, true);
        Assert.Equal(41ul, _gic.Cpu(0).Acknowledge(true));
        _gic.Cpu(0).EndOfInterrupt(41, true);
        Assert.Equal(Spurious, _gic.Cpu(0).Acknowledge(true));
    }

    [Fact]
    public void Gic_pending_written_on_a_level_interrupt_holds_until_acknowledged_or_cleared()
    {
        _gic.WriteGicd(0x204, 2);
        Assert.Equal(2u, _gic.ReadGicd(0x204));
        Assert.Equal(33ul, _gic.Cpu(0).Acknowledge(true));
        Assert.Equal(0u, _gic.ReadGicd(0x204));
        _gic.Cpu(0).EndOfInterrupt(33, true);
        _gic.WriteGicd(0x204, 2);
        _gic.WriteGicd(0x284, 2);
        Assert.False(_gic.Irq(0));
    }

    [Fact]
    public void Gic_clearing_pending_of_a_high_level_line_changes_nothing()
    {
        _gic.Spi(33).Set(true);
        _gic.WriteGicd(0x284, 2);
        Assert.Equal(2u, _gic.ReadGicd(0x204));
        Assert.True(_gic.Irq(0));
    }

    [Fact]
    public void Gic_highest_priority_then_lowest_number_goes_first()
    {
        _gic.SetPriority(50, 0x40);
        _gic.Spi(60).Set(true);
        _gic.Spi(40).Set(true);
        _gic.Spi(50).Set(true);
        Assert.Equal(50ul, _gic.Cpu(0).HighestPending(true));
        Assert.Equal(50ul, _gic.Cpu(0).Acknowledge(true));
        _gic.Cpu(0).EndOfInterrupt(50, true);
        _gic.Spi(50).Set(false);
        _gic.WriteGicd(0x184, 1u << 18);
        Assert.Equal(40ul, _gic.Cpu(0).Acknowledge(true));
    }

    [Fact]
    public void Gic_higher_priority_preempts_and_the_running_priority_returns()
    {
        _gic.SetPriority(50, 0x40);
        _gic.Spi(40).Set(true);
        Assert.Equal(40ul, _gic.Cpu(0).Acknowledge(true));
        Assert.Equal(0xA0ul, _gic.Cpu(0).RunningPriorityRegister);
        _gic.Spi(41).Set(true);
        Assert.False(_gic.Irq(0));
        _gic.Spi(50).Set(true);
        Assert.True(_gic.Irq(0));
        Assert.Equal(50ul, _gic.Cpu(0).Acknowledge(true));
        Assert.Equal(0x40ul, _gic.Cpu(0).RunningPriorityRegister);
        _gic.Cpu(0).EndOfInterrupt(50, true);
        Assert.Equal(0xA0ul, _gic.Cpu(0).RunningPriorityRegister);
        _gic.Cpu(0).EndOfInterrupt(40, true);
        Assert.Equal(0xFFul, _gic.Cpu(0).RunningPriorityRegister);
    }

    [Theory]
    [InlineData(3, true)]
    [InlineData(5, true)]
    [InlineData(6, false)]
    public void Gic_binary_point_joins_priorities_into_groups_that_do_not_preempt_each_other(uint binaryPoint, bool preempts)
    {
        _gic.Cpu(0).BinaryPoint1 = binaryPoint;
        _gic.SetPriority(50, 0x80);
        _gic.Spi(40).Set(true);
        _gic.Cpu(0).Acknowledge(true);
        _gic.Spi(50).Set(true);
        Assert.Equal(preempts, _gic.Irq(0));
    }

    [Fact]
    public void Gic_priority_mask_holds_back_what_is_not_above_it()
    {
        _gic.Cpu(0).PriorityMaskRegister = 0xA0;
        _gic.Spi(40).Set(true);
        Assert.False(_gic.Irq(0));
        Assert.Equal(Spurious, _gic.Cpu(0).Acknowledge(true));
        _gic.Cpu(0).PriorityMaskRegister = 0xA8;
        Assert.True(_gic.Irq(0));
    }

    [Fact]
    public void Gic_split_end_of_interrupt_drops_priority_and_deactivates_apart()
    {
        _gic.Cpu(0).Control = 2;
        _gic.Spi(40).Set(true);
        _gic.Cpu(0).Acknowledge(true);
        _gic.Cpu(0).EndOfInterrupt(40, true);
        Assert.Equal(0xFFul, _gic.Cpu(0).RunningPriorityRegister);
        Assert.Equal(0x100u, _gic.ReadGicd(0x304));
        Assert.False(_gic.Irq(0));
        _gic.Cpu(0).Deactivate(40);
        Assert.Equal(0u, _gic.ReadGicd(0x304));
        Assert.True(_gic.Irq(0));
    }

    [Fact]
    public void Gic_group_0_goes_to_FIQ_and_is_not_acknowledged_as_group_1()
    {
        _gic.WriteGicd(0x84, ~0x100u);
        _gic.Spi(40).Set(true);
        Assert.False(_gic.Fiq(0));
        _gic.Cpu(0).Group0Enable = 1;
        Assert.True(_gic.Fiq(0));
        Assert.False(_gic.Irq(0));
        Assert.Equal(Spurious, _gic.Cpu(0).Acknowledge(true));
        Assert.Equal(40ul, _gic.Cpu(0).Acknowledge(false));
        _gic.Cpu(0).EndOfInterrupt(40, true);
        Assert.Equal(0xA0ul, _gic.Cpu(0).RunningPriorityRegister);
        _gic.Cpu(0).EndOfInterrupt(40, false);
        Assert.Equal(0xFFul, _gic.Cpu(0).RunningPriorityRegister);
    }

    [Fact]
    public void Gic_disabled_interrupt_stays_pending_but_is_not_signalled()
    {
        _gic.WriteGicd(0x184, 0x100);
        _gic.Spi(40).Set(true);
        Assert.Equal(0x100u, _gic.ReadGicd(0x204));
        Assert.False(_gic.Irq(0));
        _gic.WriteGicd(0x104, 0x100);
        Assert.True(_gic.Irq(0));
    }

    [Fact]
    public void Gic_sgi_reaches_the_listed_or_all_other_CPUs()
    {
        _gic.Cpu(0).SendSgi((7ul << 24) | 0b0110, true);
        Assert.Equal([false, true, true, false], Enumerable.Range(0, 4).Select(_gic.Irq));
        Assert.Equal(7ul, _gic.Cpu(1).Acknowledge(true));
        _gic.Cpu(1).EndOfInterrupt(7, true);
        Assert.Equal(7ul, _gic.Cpu(2).Acknowledge(true));
        _gic.Cpu(2).EndOfInterrupt(7, true);

        _gic.Cpu(2).SendSgi((1ul << 40) | (9ul << 24), true);
        Assert.Equal([true, true, false, true], Enumerable.Range(0, 4).Select(_gic.Irq));
    }

    [Fact]
    public void Gic_sgi_of_another_cluster_goes_by_affinity()
    {
        using var gic = new GicHarness(20);
        gic.Cpu(0).SendSgi((3ul << 24) | (1ul << 16) | 0b1000, true);
        Assert.Equal([19], Enumerable.Range(0, 20).Where(gic.Irq));
    }

    [Fact]
    public void Gic_spi_follows_its_route()
    {
        _gic.Route(40, 2);
        _gic.Spi(40).Set(true);
        Assert.Equal([2], Enumerable.Range(0, 4).Where(_gic.Irq));
        _gic.Route(40, 3);
        Assert.Equal([3], Enumerable.Range(0, 4).Where(_gic.Irq));
    }

    [Fact]
    public void Gic_one_of_n_skips_detached_CPUs_and_those_without_the_group()
    {
        _gic.Route(40, 1ul << 31);
        _gic.Spi(40).Set(true);
        Assert.Equal([0], Enumerable.Range(0, 4).Where(_gic.Irq));
        _gic.Cpu(0).Group1Enable = 0;
        Assert.Equal([1], Enumerable.Range(0, 4).Where(_gic.Irq));
        _gic.Cpu(1).SetAccessible(false);
        Assert.Equal([2], Enumerable.Range(0, 4).Where(_gic.Irq));
    }

    [Fact]
    public void Gic_detached_CPU_gets_nothing_but_its_redistributor_is_there()
    {
        _gic.Cpu(3).SetAccessible(false);
        _gic.Cpu(0).SendSgi((4ul << 24) | 0b1000, true);
        _gic.Core.PpiLine(new CpuIndex(3), new IntId(27)).Set(true);
        Assert.False(_gic.Irq(3));
        Assert.Equal(0x310u, _gic.ReadGicr(3, 8));
        _gic.Cpu(3).SetAccessible(true);
        Assert.Equal(27ul, _gic.Cpu(3).Acknowledge(true));
    }

    /// <summary>PSCI CPU_ON resets the CPU (PSCI 1.1, 6.4), and QEMU's reset of a CPU resets its ICC registers.</summary>
    [Fact]
    public void Gic_cpu_interface_is_reset_with_its_CPU()
    {
        using var machine = new Misbehaviour.HostileMachine();
        var gic = machine.Core.Gic!;
        gic.PriorityMaskRegister = 0xF0;
        gic.Group1Enable = 1;
        machine.Core.Reset(Misbehaviour.HostileMachine.Code, 0);
        Assert.Equal(0ul, gic.PriorityMaskRegister);
        Assert.Equal(0ul, gic.Group1Enable);
    }

    [Fact]
    public void Gic_ppi_is_private()
    {
        _gic.Core.PpiLine(new CpuIndex(1), new IntId(27)).Set(true);
        Assert.Equal([1], Enumerable.Range(0, 4).Where(_gic.Irq));
        Assert.Equal(27ul, _gic.Cpu(1).Acknowledge(true));
    }

    [Fact]
    public void Gic_beyond_the_first_region_has_a_second_with_its_own_last_redistributor()
    {
        using var gic = new GicHarness(130, configure: false);
        Assert.Equal(2, gic.Core.RedistributorRegions.Count);
        Assert.Equal(0x10u, gic.ReadGicr(122, 8) & 0x10);
        Assert.Equal((123ul << 8), gic.Core.RedistributorRegions[1].Read(8, 4));
        Assert.Equal(0x10ul | (129ul << 8), gic.Core.RedistributorRegions[1].Read((6 * 0x2_0000) + 8, 4));
    }

    [Fact]
    public void Gic_paths_of_an_interrupt_allocate_nothing()
    {
        InterruptLine line = _gic.Spi(40);
        void Once()
        {
            line.Set(true);
            _gic.Cpu(0).PriorityMaskRegister = 0xF0;
            ulong id = _gic.Cpu(0).Acknowledge(true);
            line.Set(false);
            _gic.Cpu(0).EndOfInterrupt(id, true);
            _gic.Cpu(1).SendSgi((1ul << 40) | (5ul << 24), true);
            _gic.Cpu(0).EndOfInterrupt(_gic.Cpu(0).Acknowledge(true), true);
        }

        // The runtime may take memory on this thread when it compiles a method anew: the least of several is what the GIC allocates.
        long least = long.MaxValue;
        for (int time = 0; time < 10; time++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 100; i++)
            {
                Once();
            }

            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.Equal(0, least);
    }
}
