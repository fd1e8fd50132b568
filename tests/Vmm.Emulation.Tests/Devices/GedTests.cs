using Vmm.Emulation.Devices.Ged;
using Vmm.Emulation.Interrupts;

namespace Vmm.Emulation.Tests.Devices;

public sealed class GedTests : DeviceFixture
{
    internal override Subject Create()
    {
        var ged = new Ged(UnconnectedLine.New()) { CpuScanMethod = "SCAN" };
        return new Subject(ged, [ged], [4], ged.Reset, ged);
    }

    internal override void Disturb(Subject subject) => ((Ged)subject.Device).Raise(GedEvents.CpuHotplug | GedEvents.PowerButton);

    private sealed class Sink : IInterruptSink
    {
        public List<bool> Levels { get; } = [];

        public void SetInput(IntId id, bool level) => Levels.Add(level);
    }

    [Fact]
    public void Ged_events_gather_until_read_and_each_pulses_the_line()
    {
        var sink = new Sink();
        var ged = new Ged(new InterruptLine(sink, new IntId(41))) { CpuScanMethod = "SCAN" };
        ged.Raise(GedEvents.CpuHotplug);
        ged.Raise(GedEvents.PowerButton);
        Assert.Equal([true, false, true, false], sink.Levels);
        Assert.Equal(0xAul, ged.Read(0, 4));
        Assert.Equal(0ul, ged.Read(0, 4));
    }
}
