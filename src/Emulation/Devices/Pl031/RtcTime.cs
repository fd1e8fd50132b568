using System.Diagnostics;
using Vmm.Emulation.Cpu.Timers;

namespace Vmm.Emulation.Devices.Pl031;

/// <summary>The source of time for the real time clock (<c>-rtc clock=</c>).</summary>
public enum RtcClock
{
    /// <summary>The host's clock, including later changes of its time.</summary>
    Host,

    /// <summary>
    /// The host's clock at power-on, and from then on the time that has passed. Later changes of the host's time do not count.
    /// </summary>
    Monotonic,

    /// <summary>The guest's time, which stands still while the VM is stopped.</summary>
    Guest,
}

/// <summary>The configuration of the real time clock.</summary>
/// <param name="Start">The time at power-on; null for the time of the host's clock.</param>
/// <param name="Clock">The source of time.</param>
public sealed record RtcConfig(DateTimeOffset? Start, RtcClock Clock);

/// <summary>The time that the real time clock shows before the guest sets it.</summary>
public sealed class RtcTime : TimeProvider
{
    private readonly Func<TimeSpan> _elapsed;
    private readonly DateTimeOffset _start;

    private RtcTime(DateTimeOffset start, Func<TimeSpan> elapsed)
    {
        _start = start;
        _elapsed = elapsed;
    }

    /// <param name="host">The host's clock.</param>
    /// <param name="guest">The guest's clock.</param>
    public static TimeProvider Create(RtcConfig config, TimeProvider host, VirtualClock guest)
    {
        DateTimeOffset now = host.GetUtcNow();
        DateTimeOffset start = config.Start ?? now;
        switch (config.Clock)
        {
            case RtcClock.Monotonic:
                long began = Stopwatch.GetTimestamp();
                return new RtcTime(start, () => Stopwatch.GetElapsedTime(began));
            case RtcClock.Guest:
                ulong count = guest.Count;
                return new RtcTime(start, () => TimeSpan.FromSeconds((guest.Count - count) / (double)VirtualClock.Frequency));
            default:
                return config.Start == null ? host : new RtcTime(start, () => host.GetUtcNow() - now);
        }
    }

    public override DateTimeOffset GetUtcNow() => _start + _elapsed();
}
