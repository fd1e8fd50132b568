using Akka.Actor;
using Vmm.Actors.Devices;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vm;
using Vmm.Emulation.Devices.InterruptController;

namespace Vmm.Actors.Interrupts;

/// <summary>
/// The GIC's actor: attaches and detaches CPU interfaces, resets it, saves and loads it. Interrupts themselves never pass through it.
/// </summary>
public sealed class GicSupervisor : DeviceActor
{
    private readonly IVmMachine _machine;

    public GicSupervisor(IVmMachine machine)
        : base(machine.Devices.Single(d => d.Device is GicV3Device).Device)
    {
        _machine = machine;
        Receive<AttachCpuInterface>(attach => SetAccessible(attach.Cpu, true, new CpuInterfaceAttached(attach.Cpu)));
        Receive<DetachCpuInterface>(detach => SetAccessible(detach.Cpu, false, new CpuInterfaceDetached(detach.Cpu)));
    }

    private void SetAccessible(int cpu, bool value, IProtocolMessage answer)
    {
        if (cpu < 0 || cpu >= _machine.PossibleCpus)
        {
            Sender.Tell(new VmCommandRejected(RejectionCode.CpuNotFound, "CPU not found"));
            return;
        }

        _machine.SetInterfaceAccessible(cpu, value);
        Sender.Tell(answer);
    }
}
