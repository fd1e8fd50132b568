using Akka.Actor;
using Akka.Hosting;
using Akka.Remote.Hosting;
using Vmm.Actors.Vm;

namespace Vmm.Actors.Hosting;

/// <summary>
/// A VM in an actor system: one that Akka.Hosting makes for a program with a generic host, or one of <c>vmm run</c>, which does without
/// such a host to start sooner.
/// </summary>
public static class VmHosting
{
    /// <summary>Name of the supervisor, a child of the user guardian.</summary>
    public const string VmName = "vm";

    /// <summary>Name of the actor system of <c>vmm run</c>.</summary>
    public const string SystemName = "vmm";

    /// <summary>
    /// Adds the configuration of <c>hocon/</c> and a VM, whose supervisor is in the registry under <see cref="VmSupervisor"/>.
    /// </summary>
    /// <param name="builder">The builder of the actor system.</param>
    /// <param name="machine">The machine. It outlives the actor system.</param>
    /// <param name="options">How the VM's actors are set up.</param>
    public static AkkaConfigurationBuilder WithVm(this AkkaConfigurationBuilder builder, IVmMachine machine, VmOptions options) =>
        builder
        .AddHocon(VmConfiguration.Load(), HoconAddMode.Append)
        .WithActors((system, registry) =>
            registry.Register<VmSupervisor>(StartVm(system, machine, options)));

    /// <summary>Starts a VM in an actor system that has the configuration of <c>hocon/</c> (<see cref="VmConfiguration"/>).</summary>
    /// <returns>The VM's supervisor.</returns>
    public static IActorRef StartVm(ActorSystem system, IVmMachine machine, VmOptions options) =>
        system.ActorOf(ActorProps.Of(() => new VmSupervisor(machine, options)), VmName);

    /// <summary>Opens a TCP port for the VM's messages from other processes (hocon/remote.conf).</summary>
    public static AkkaConfigurationBuilder WithRemoteControl(this AkkaConfigurationBuilder builder, string host, int port) => builder
        .WithRemoting(host, port)
        .AddHocon(VmConfiguration.RemoteTransport(host, port), HoconAddMode.Prepend);

    /// <summary>
    /// The supervisor of a VM in another process, whose port <see cref="WithRemoteControl"/> or <c>--remote</c> has opened.
    /// </summary>
    public static ActorSelection RemoteVm(this ActorSystem system, string host, int port) =>
        system.ActorSelection($"akka.tcp://{SystemName}@{host}:{port}/user/{VmName}");
}
