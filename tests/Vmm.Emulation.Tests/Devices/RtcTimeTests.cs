using System.Diagnostics;
using Vmm.Emulation.Cpu.Timers;
using Vmm.Emulation.Devices.Pl031;

namespace Vmm.Emulation.Tests.Devices;

public sealed class RtcTimeTests
{
    private static readonly DateTimeOffset s_start = new(2006, 6, 17, 16, 1, 21, TimeSpan.Zero);

    private static TimeProvider Create(RtcClock clock, VirtualClock guest) =>
        RtcTime.Create(new RtcConfig(s_start, clock), TimeProvider.System, guest);

    [Theory]
    [InlineData(RtcClock.Host)]
    [InlineData(RtcClock.Monotonic)]
    [InlineData(RtcClock.Guest)]
    public void Clock_goes_on_from_its_start(RtcClock clock)
    {
        long before = Stopwatch.GetTimestamp();
        TimeProvider time = Create(clock, new VirtualClock());
        DateTimeOffset now = time.GetUtcNow();
        Assert.InRange(now, s_start, s_start + Stopwatch.GetElapsedTime(before) + TimeSpan.FromSeconds(1));
        Patience.Until(() => time.GetUtcNow() > s_start.AddMilliseconds(5), "the clock goes on");
    }

    [Fact]
    public void Guest_clock_stands_still_with_the_guest()
    {
        var guest = new VirtualClock();
        TimeProvider time = Create(RtcClock.Guest, guest);
        guest.Stop();
        DateTimeOffset stopped = time.GetUtcNow();
        Thread.Sleep(20);
        Assert.Equal(stopped, time.GetUtcNow());
    }

    [Fact]
    public void Host_clock_without_a_start_is_the_hosts() =>
        Assert.Same(TimeProvider.System, RtcTime.Create(new RtcConfig(null, RtcClock.Host), TimeProvider.System, new VirtualClock()));
}
