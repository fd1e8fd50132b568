using System.Runtime.CompilerServices;
using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Devices.Pl061;

namespace Vmm.Actors.Devices;

/// <summary>
/// The GPIO port: the host drives its pins by message. One pin is the power button of a machine without ACPI. A guest that does not listen
/// yet does not notice a press, so the button is pressed again, ever more rarely, until the guest notices it.
/// </summary>
public sealed class GpioActor : DeviceActor, IWithTimers
{
    // A press is long, because Linux reads the pin only after its debounce interval.
    private static readonly TimeSpan s_press = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan s_longestPress = TimeSpan.FromSeconds(3);

    private readonly Pl061 _gpio;
    private readonly int _powerButton;
    private TimeSpan _pressed;

    private sealed record LookWhetherNoticed;

    private sealed record ButtonReleased;

    [ModuleInitializer]
    internal static void Register() => DeviceActors.Register<Pl061>((gpio, around) => new DeviceActorPlan(
        ActorProps.Of(() => new GpioActor(gpio, around.Machine.PowerButtonPin)), around.HasAcpi ? [] : [typeof(PressPowerButton)]));

    /// <param name="powerButton">The pin of the power button.</param>
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

    // A button that was pressed is released in time.
    protected override void Loaded()
    {
        _pressed = s_press;
        if (_gpio.IsHigh(_powerButton))
        {
            Timers.StartSingleTimer(_powerButton, new LookWhetherNoticed(), _pressed);
        }
    }

    // The pin is released first, so that there is an edge even if it was pressed.
    private void Press(TimeSpan time)
    {
        _gpio.SetInput(_powerButton, false);
        _gpio.SetInput(_powerButton, true);
        _pressed = time;
        Timers.StartSingleTimer(_powerButton, new LookWhetherNoticed(), time);
    }
}
