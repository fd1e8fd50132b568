using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vm;

namespace Vmm.Actors.Interrupts;

/// <summary>Attaches and detaches the GIC's CPU interfaces. Interrupts themselves never pass through it.</summary>
public sealed class GicSupervisor : ReceiveActor
{
    public GicSupervisor(IVmMachine machine)
    {
        Receive<AttachCpuInterface>(attach =>
        {
            machine.SetInterfaceAccessible(attach.Cpu, true);
            Sender.Tell(new CpuInterfaceAttached(attach.Cpu));
        });
        Receive<DetachCpuInterface>(detach =>
        {
            machine.SetInterfaceAccessible(detach.Cpu, false);
            Sender.Tell(new CpuInterfaceDetached(detach.Cpu));
        });
    }
}
