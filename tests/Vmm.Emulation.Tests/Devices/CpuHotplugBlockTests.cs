using Vmm.Emulation.Devices.CpuHotplug;

namespace Vmm.Emulation.Tests.Devices;

public sealed class CpuHotplugBlockTests : DeviceFixture
{
    private const ulong Selector = 0;
    private const ulong Flags = 4;
    private const ulong Command = 5;
    private const ulong Data = 8;
    private readonly CpuHotplugBlock _block = new(20);

    internal override Subject Create()
    {
        var block = new CpuHotplugBlock(20);
        block.SetEnabled(new CpuIndex(0), true);
        return new Subject(block, [block], [12], block.Reset, block);
    }

    // The selector survives reset, so it stays at zero here.
    internal override void Disturb(Subject subject)
    {
        var block = (CpuHotplugBlock)subject.Device;
        block.PendInsert(new CpuIndex(0));
        block.PendRemove(new CpuIndex(7));
        block.Write(Command, 1, 1);
        block.Write(Data, 4, 0x103);
        block.Write(Command, 1, 2);
        block.Write(Data, 4, 0x84);
    }

    private void Select(uint cpu) => _block.Write(Selector, 4, cpu);

    private List<CpuHotplugEvent> Events()
    {
        var events = new List<CpuHotplugEvent>();
        while (_block.TryTakeEvent(out CpuHotplugEvent e))
        {
            events.Add(e);
        }

        return events;
    }

    [Fact]
    public void CpuHotplugBlock_eject_takes_effect_in_the_write()
    {
        _block.SetEnabled(new CpuIndex(3), true);
        _block.PendRemove(new CpuIndex(3));
        CpuIndex? ejecting = null;
        _block.Ejecting = cpu => ejecting = cpu;
        Select(3);
        Assert.Equal(5ul, _block.Read(Flags, 1));
        _block.Write(Flags, 1, 8);
        Assert.Equal(0ul, _block.Read(Flags, 1));
        Assert.False(_block.IsEnabled(new CpuIndex(3)));
        Assert.Equal(new CpuIndex(3), ejecting);
        Assert.Equal([new CpuHotplugEvent(new CpuIndex(3), CpuHotplugEventKind.Ejected)], Events());
        _block.Write(Flags, 1, 8);
        Assert.Empty(Events());
    }

    [Fact]
    public void CpuHotplugBlock_eject_of_the_boot_cpu_is_ignored()
    {
        _block.SetEnabled(new CpuIndex(0), true);
        _block.Write(Flags, 1, 8);
        Assert.Equal(1ul, _block.Read(Flags, 1));
        Assert.Empty(Events());
    }

    [Fact]
    public void CpuHotplugBlock_flags_write_acts_on_the_first_bit_only()
    {
        _block.SetEnabled(new CpuIndex(2), true);
        _block.PendInsert(new CpuIndex(2));
        _block.PendRemove(new CpuIndex(2));
        Select(2);
        _block.Write(Flags, 1, 0xE);
        Assert.Equal(5ul, _block.Read(Flags, 1));
        _block.Write(Flags, 1, 0xC);
        Assert.Equal(1ul, _block.Read(Flags, 1));
        Assert.Empty(Events());
    }

    [Fact]
    public void CpuHotplugBlock_search_goes_round_from_the_selector_and_stays_without_an_event()
    {
        _block.PendInsert(new CpuIndex(4));
        Select(9);
        _block.Write(Command, 1, 0);
        Assert.Equal(4ul, _block.Read(Data, 4));
        _block.Write(Flags, 1, 2);
        Select(9);
        _block.Write(Command, 1, 0);
        Assert.Equal(9ul, _block.Read(Data, 4));
    }

    [Fact]
    public void CpuHotplugBlock_ost_is_told_with_event_and_status()
    {
        int rings = 0;
        _block.Doorbell.Connect(() => rings++);
        Select(5);
        _block.Write(Command, 1, 1);
        _block.Write(Data, 4, 3);
        Assert.Equal(0, rings);
        _block.Write(Command, 1, 2);
        _block.Write(Data, 4, 0x84);
        Assert.Equal(1, rings);
        Assert.Equal([new CpuHotplugEvent(new CpuIndex(5), CpuHotplugEventKind.Ost, 3, 0x84)], Events());
    }

    [Fact]
    public void CpuHotplugBlock_arch_id_is_the_mpidr()
    {
        Select(17);
        _block.Write(Command, 1, 3);
        Assert.Equal(0x101ul, _block.Read(Data, 4));
        Assert.Equal(0ul, _block.Read(Selector, 4));
    }

    [Fact]
    public void CpuHotplugBlock_selector_beyond_the_cpus_reads_zero_and_ignores_writes()
    {
        _block.SetEnabled(new CpuIndex(19), true);
        Select(20);
        Assert.Equal(0ul, _block.Read(Flags, 1));
        _block.Write(Command, 1, 3);
        Select(19);
        Assert.Equal(19ul, _block.Read(Data, 4));
        Assert.Equal(1ul, _block.Read(Flags, 1));
    }

    [Fact]
    public void CpuHotplugBlock_queue_does_not_grow_without_bound_and_never_loses_an_eject()
    {
        _block.SetEnabled(new CpuIndex(1), true);
        Select(1);
        _block.Write(Command, 1, 2);
        for (int i = 0; i < 10_000; i++)
        {
            _block.Write(Data, 4, 1);
        }

        _block.Write(Flags, 1, 8);
        List<CpuHotplugEvent> events = Events();
        Assert.InRange(events.Count, 2, 5000);
        Assert.Equal(CpuHotplugEventKind.Ejected, events[^1].Kind);
    }
}
