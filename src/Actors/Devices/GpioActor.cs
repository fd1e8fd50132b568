using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Devices.Pl061;

namespace Vmm.Actors.Devices;

/// <summary>
/// The GPIO port, whose pins the host drives by message: the power button of a machine without ACPI. A guest that does not listen yet does
/// not notice the press; so the button is pressed again, ever more rarely, until it does.
/// </summary>
public sealed class GpioActor : DeviceActor, IWithTimers
{
    // Linux looks at the pin when it has stopped bouncing.
    private static readonly TimeSpan s_press = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan s_longestPress = TimeSpan.FromSeconds(3);

    private readonly Pl061 _gpio;
    private readonly int _powerButton;
    private TimeSpan _pressed;

    private sealed record LookWhetherNoticed;

    private sealed record ButtonReleased;

    /// <param name="powerButton">The pin that has it.</param>
    public GpioActor(Pl061 gpio, int powerButton)
        : base(gpio)
    {
        _gpio = gpio;
        _powerButton = powerButton;
        Receive<PressPowerButton>(_ => Press(s_press));
        Receive<LookWhetherNoticed>(_ =>
        {
            if (_gpio.IsNoticed(_powerButton))
            {
                Timers.StartSingleTimer(_powerButton, new ButtonReleased(), s_press);
                return;
            }

            Press(_pressed * 2 < s_longestPress ? _pressed * 2 : s_longestPress);
        });
        Receive<ButtonReleased>(_ => _gpio.SetInput(_powerButton, false));
    }

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void ResetCore()
    {
        Timers.Cancel(_powerButton);
        base.ResetCore();
    }

    // An edge, also where it is pressed already.
    private void Press(TimeSpan time)
    {
        _gpio.SetInput(_powerButton, false);
        _gpio.SetInput(_powerButton, true);
        _pressed = time;
        Timers.StartSingleTimer(_powerButton, new LookWhetherNoticed(), time);
    }
}
