using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Devices.Pl061;

namespace Vmm.Actors.Devices;

/// <summary>The GPIO port, whose pins the host drives by message: the power button of a machine without ACPI.</summary>
public sealed class GpioActor : DeviceActor, IWithTimers
{
    // Linux looks at the pin when it has stopped bouncing.
    private static readonly TimeSpan s_press = TimeSpan.FromMilliseconds(100);

    private readonly Pl061 _gpio;

    private sealed record ButtonReleased;

    /// <param name="powerButton">The pin that has it.</param>
    public GpioActor(Pl061 gpio, int powerButton)
        : base(gpio)
    {
        _gpio = gpio;
        Receive<PressPowerButton>(_ =>
        {
            _gpio.SetInput(powerButton, true);
            Timers.StartSingleTimer(nameof(ButtonReleased), new ButtonReleased(), s_press);
        });
        Receive<ButtonReleased>(_ => _gpio.SetInput(powerButton, false));
    }

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void ResetCore() => _gpio.Reset();
}
