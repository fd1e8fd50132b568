using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Memory;
using static Vmm.Emulation.Devices.Pl031.Pl031Spec;

namespace Vmm.Emulation.Devices.Pl031;

/// <summary>
/// The real time clock. It shows seconds since 1970 by the host's clock, plus the guest's correction, modulo 2³². Its alarm goes off when
/// the seconds equal RTCMR. It counts from power-on, as if firmware had enabled it. The owner keeps a timer for the alarm: <see
/// cref="AlarmChanged"/> tells it of a new alarm, <see cref="UntilAlarm"/> how long to wait, and then it calls <see cref="CheckAlarm"/>.
/// </summary>
public sealed partial class Pl031(InterruptLine line, TimeProvider clock) : IMmioDevice
{
    private readonly Lock _lock = new();

    // RTCDR minus the host's seconds.
    private uint _offset;
    private uint _match;
    private uint _load;
    private bool _masked = true;
    private bool _raw;

    // The host seconds at which RTCDR equals RTCMR; null if no alarm is pending.
    private long? _deadline;

    /// <summary>Rings when the guest has set another alarm, or the time.</summary>
    public Doorbell AlarmChanged { get; } = new();

    public string Name => "pl031";

    /// <summary>The time until <see cref="CheckAlarm"/> must be called; null for never.</summary>
    public TimeSpan? UntilAlarm
    {
        get
        {
            lock (_lock)
            {
                if (_deadline is not long deadline)
                {
                    return null;
                }

                TimeSpan left = DateTimeOffset.FromUnixTimeSeconds(deadline) - clock.GetUtcNow();
                return left > TimeSpan.Zero ? left : TimeSpan.Zero;
            }
        }
    }

    /// <summary>Raises the interrupt if the time of the alarm has come.</summary>
    public void CheckAlarm()
    {
        lock (_lock)
        {
            CheckAlarmLocked();
        }
    }

    /// <summary>Clears the alarm. The clock goes on, because a battery feeds it.</summary>
    public void Reset()
    {
        lock (_lock)
        {
            _match = _load = 0;
            _masked = true;
            _raw = false;
            _deadline = null;
            Update();
        }

        AlarmChanged.Ring();
    }

    public ulong Read(ulong offset, int size)
    {
        lock (_lock)
        {
            CheckAlarmLocked();
            uint value = offset switch
            {
                RTCDR => Now,
                RTCMR => _match,
                RTCLR => _load,
                RTCCR => Bit,
                RTCIMSC => _masked ? 0 : Bit,
                RTCRIS => _raw ? Bit : 0,
                RTCMIS => _raw && !_masked ? Bit : 0,
                >= Identification and <= 0xFFC => IdentificationBytes[(int)(offset - Identification) >> 2],
                _ => 0,
            };
            return MmioAccess.Truncate(value, size);
        }
    }

    public void Write(ulong offset, int size, ulong value)
    {
        bool alarm = false;
        lock (_lock)
        {
            CheckAlarmLocked();
            switch (offset)
            {
                case RTCMR:
                    _match = (uint)value;
                    alarm = true;
                    break;
                case RTCLR:
                    _load = (uint)value;
                    _offset = (uint)value - (uint)HostSeconds;
                    alarm = true;
                    break;
                case RTCIMSC:
                    _masked = (value & Bit) == 0;
                    break;
                case RTCICR when (value & Bit) != 0:
                    _raw = false;
                    break;
            }

            if (alarm)
            {
                uint seconds = _match - Now;
                _deadline = seconds == 0 ? null : HostSeconds + seconds;
                _raw |= seconds == 0;
            }

            Update();
        }

        if (alarm)
        {
            AlarmChanged.Ring();
        }
    }

    private long HostSeconds => clock.GetUtcNow().ToUnixTimeSeconds();

    private uint Now => (uint)HostSeconds + _offset;

    private void CheckAlarmLocked()
    {
        if (_deadline <= HostSeconds)
        {
            _deadline = null;
            _raw = true;
            Update();
        }
    }

    private void Update() => line.Set(_raw && !_masked);
}
