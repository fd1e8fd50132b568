using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vm;

namespace Vmm.Actors.Devices;

/// <summary>Makes the actor of each device that has asynchronous work. Their cores outlive them, so they may restart.</summary>
public sealed class DeviceManager : ReceiveActor
{
    public DeviceManager(IVmMachine machine, Action<ReadOnlyMemory<byte>> serialOutput)
    {
        IActorRef uart = Context.ActorOf(Props.Create(() => new UartActor(machine.Serial, serialOutput)), "uart");
        Receive<SendSerial>(uart.Tell);
    }

    protected override SupervisorStrategy SupervisorStrategy() =>
        new OneForOneStrategy(10, TimeSpan.FromMinutes(1), static _ => Directive.Restart);
}
