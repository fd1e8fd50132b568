using Akka.Actor;
using Microsoft.Win32.SafeHandles;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vm;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Devices.CfiFlash;

namespace Vmm.Actors.Devices;

/// <summary>
/// Makes the actor of each device and speaks for all of them. What a device's host stream throws restarts its actor, for the core is
/// untouched by that; when it goes on, and on any other failure, the supervisor hears of it.
/// <para>The GIC's actor is <see cref="Interrupts.GicSupervisor"/>, that of the CPU hotplug block the hotplug coordinator.</para>
/// </summary>
public sealed class DeviceManager : MessageActor
{
    private const int MostRestarts = 10;

    private readonly Dictionary<string, IActorRef> _devices;
    private readonly HashSet<IActorRef> _resetting = [];
    private readonly Dictionary<IActorRef, Exception> _failures = [];
    private IActorRef _resetter = ActorRefs.Nobody;

    public DeviceManager(IVmMachine machine, Action<ReadOnlyMemory<byte>> serialOutput)
    {
        IActorRef uart = Context.ActorOf(ActorProps.Of(() => new UartActor(machine.Uart, serialOutput)), "uart");
        IActorRef rtc = Context.ActorOf(ActorProps.Of(() => new RtcActor(machine.Rtc)), "rtc");
        ICpuHotplugPort? hotplug = machine.Hotplug;
        Func<bool> cpuEventsUnseen = () => hotplug is { HasUnseen: true };
        IActorRef ged = Context.ActorOf(ActorProps.Of(() => new GedActor(machine.Ged, cpuEventsUnseen)), "ged");
        IActorRef gpio = Context.ActorOf(ActorProps.Of(() => new GpioActor(machine.Gpio, VirtMachine.PowerButtonPin)), "gpio");
        IActorRef fwCfg = Context.ActorOf(ActorProps.Of(() => new FwCfgActor(machine.FwCfg)), "fw_cfg");
        _devices = new Dictionary<string, IActorRef>(StringComparer.Ordinal)
        {
            ["uart"] = uart, ["rtc"] = rtc, ["ged"] = ged, ["gpio"] = gpio, ["fw_cfg"] = fwCfg,
        };
        foreach ((CfiFlash bank, SafeFileHandle? file) in machine.FlashBanks)
        {
            _devices[bank.Name] = Context.ActorOf(ActorProps.Of(() => new FlashActor(bank, file)), bank.Name);
        }

        foreach (IActorRef device in _devices.Values)
        {
            Context.Watch(device);
        }

        Receive<SendSerial>(uart.Forward);
        Receive<PressPowerButton>((machine.Hotplug == null ? gpio : ged).Forward);
        Receive<AnnounceCpuEvent>(ged.Forward);
        Receive<ResetDevices>(Reset);
        Receive<DevicesReset>(_ =>
        {
            if (_resetting.Remove(Sender) && _resetting.Count == 0)
            {
                _resetter.Tell(new DevicesReset(""));
            }
        });
        Receive<GetDeviceState>(get => ToDevice(get.Device, get));
        Receive<LoadDeviceState>(load => ToDevice(load.Device, load));
        Receive<Terminated>(OnStopped);
    }

    protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(MostRestarts, TimeSpan.FromMinutes(1), e =>
    {
        _failures[Sender] = e;
        return e is IOException or ObjectDisposedException ? Directive.Restart : Directive.Escalate;
    });

    private void Reset(ResetDevices reset)
    {
        _resetter = Sender;
        _resetting.UnionWith(_devices.Values);
        foreach (IActorRef device in _devices.Values)
        {
            device.Tell(reset);
        }
    }

    private void ToDevice(string name, object message)
    {
        if (_devices.TryGetValue(name, out IActorRef? device))
        {
            device.Forward(message);
        }
        else
        {
            Sender.Tell(new VmCommandRejected(RejectionCode.DeviceNotFound, $"Device '{name}' not found"));
        }
    }

    // Restarted too often.
    private void OnStopped(Terminated stopped)
    {
        Exception? cause = _failures.GetValueOrDefault(stopped.ActorRef);
        throw new IOException($"{stopped.ActorRef.Path.Name} fails again and again: {cause?.Message}", cause);
    }
}
