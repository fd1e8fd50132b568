using Akka.Actor;
using Akka.Hosting;
using Vmm.Actors.Vm;

namespace Vmm.Actors.Hosting;

/// <summary>A VM in an actor system that Akka.Hosting makes.</summary>
public static class VmHosting
{
    /// <summary>Name of the supervisor, a child of the user guardian.</summary>
    public const string VmName = "vm";

    /// <summary>Adds the configuration of <c>hocon/</c> and a VM, whose supervisor is in the registry under <see cref="VmSupervisor"/>.</summary>
    /// <param name="builder">Of the actor system.</param>
    /// <param name="machine">Outlives the actor system.</param>
    /// <param name="options">How the VM's actors are set up.</param>
    public static AkkaConfigurationBuilder WithVm(this AkkaConfigurationBuilder builder, IVmMachine machine, VmOptions options) => builder
        .AddHocon(VmConfiguration.Load(), HoconAddMode.Append)
        .WithActors((system, registry) =>
            registry.Register<VmSupervisor>(system.ActorOf(Props.Create(() => new VmSupervisor(machine, options)), VmName)));
}
