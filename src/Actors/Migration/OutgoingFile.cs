using Akka.Actor;
using Microsoft.Win32.SafeHandles;
using Vmm.Actors.Vm;
using Vmm.Emulation.Migration;
using Vmm.Emulation.Snapshots;

namespace Vmm.Actors.Migration;

/// <summary>
/// A sender whose other end is a file in which each page of RAM has its place (<c>mapped-ram</c>): a page that the guest writes again is
/// written again there. Nobody answers: the guest is handed over when the file is whole.
/// </summary>
internal sealed class OutgoingFile(
    IActorRef actor, IVmMachine machine, IMigrationEndpoint endpoint, MigrationHello hello, MigrationSettings settings)
    : OutgoingLink(actor, machine, endpoint, hello, settings)
{
    private readonly IVmMachine _machine = machine;
    private readonly MigrationHello _hello = hello;
    private readonly IMigrationFile _target = endpoint.File!;

    protected override void Run()
    {
        using SafeFileHandle file = _target.Create();
        using var writer = new MappedFileWriter(file, _target.Offset, _machine.Ram);
        var ram = new FiledRam(_machine.Ram, _machine.DirtyLog, writer, Limit);
        (int[] left, Rest rest) = SendWhileRunning(ram);
        ram.Send(LastPages(left), limited: false, Stopped);
        ram.AddWritten(writer.Finish(
            rest.State.Units, _hello.Product, rest.State.At, rest.State.Clock, _hello.Machine, rest.State.Cpus,
            new SavedMigration(_hello.Session, rest.Running)));
        HandOver();
    }
}
