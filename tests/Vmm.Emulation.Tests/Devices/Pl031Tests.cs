using Vmm.Emulation.Devices.Pl031;
using Vmm.Emulation.Interrupts;

namespace Vmm.Emulation.Tests.Devices;

public sealed class Pl031Tests : DeviceFixture
{
    private const long Start = 1_700_000_000;
    private readonly FixedClock _clock = new(Start);
    private readonly InterruptLine _line = UnconnectedLine.New();

    internal override Subject Create()
    {
        var rtc = new Pl031(UnconnectedLine.New(), new FixedClock(Start));
        return new Subject(rtc, [rtc], [0x1000], rtc.Reset, rtc);
    }

    internal override void Disturb(Subject subject)
    {
        subject.Frames[0].Write(0x04, 4, Start + 100);
        subject.Frames[0].Write(0x10, 4, 1);
    }

    private Pl031 Rtc() => new(_line, _clock);

    [Fact]
    public void Pl031_data_register_follows_the_host_and_what_was_loaded()
    {
        Pl031 rtc = Rtc();
        Assert.Equal((ulong)Start, rtc.Read(0, 4));
        rtc.Write(0x08, 4, 1000);
        _clock.Seconds += 5;
        Assert.Equal(1005ul, rtc.Read(0, 4));
        Assert.Equal(1000ul, rtc.Read(0x08, 4));
    }

    [Fact]
    public void Pl031_alarm_fires_when_its_second_comes_and_not_before()
    {
        Pl031 rtc = Rtc();
        rtc.Write(0x10, 4, 1);
        rtc.Write(0x04, 4, Start + 10);
        Assert.Equal(TimeSpan.FromSeconds(10), rtc.UntilAlarm);
        _clock.Seconds += 9;
        rtc.CheckAlarm();
        Assert.False(_line.Level);
        _clock.Seconds++;
        rtc.CheckAlarm();
        Assert.True(_line.Level);
        Assert.Null(rtc.UntilAlarm);
        rtc.Write(0x1C, 4, 1);
        Assert.False(_line.Level);
    }

    [Fact]
    public void Pl031_masked_alarm_shows_in_the_raw_status_only()
    {
        Pl031 rtc = Rtc();
        rtc.Write(0x04, 4, Start);
        Assert.Equal(1ul, rtc.Read(0x14, 4));
        Assert.Equal(0ul, rtc.Read(0x18, 4));
        Assert.False(_line.Level);
    }

    [Fact]
    public void Pl031_identification_is_that_of_the_primecell()
    {
        Pl031 rtc = Rtc();
        Assert.Equal([0x31, 0x10, 0x14, 0x00, 0x0D, 0xF0, 0x05, 0xB1],
            Enumerable.Range(0, 8).Select(i => rtc.Read(0xFE0 + (ulong)(i * 4), 4)));
    }
}
