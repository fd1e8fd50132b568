using System.Diagnostics;
using Akka.Actor;
using Vmm.Actors.Snapshots;
using Vmm.Actors.Vm;
using Vmm.Emulation.Migration;
using Vmm.Emulation.Snapshots;

namespace Vmm.Actors.Migration;

/// <summary>
/// A receiver whose other end is a file in which each page of RAM has its place (<c>mapped-ram</c>). All but RAM is read and checked; RAM
/// is mapped when the actor takes the guest. The file is this object's until <see cref="IncomingLink.ConfirmRunning"/>.
/// </summary>
internal sealed class IncomingFile(IActorRef actor, IVmMachine machine, IMigrationEndpoint endpoint, IMigrationListener listener)
    : IncomingLink(actor, machine, listener, hasReturnPath: false, channels: 0, Timeout.InfiniteTimeSpan)
{
    private readonly IVmMachine _machine = machine;
    private readonly IMigrationFile _source = endpoint.File!;

    protected override void Run()
    {
        CloseListener();
        Snapshot saved = MappedFile.Open(_source.Open(), _source.Offset, _source.Path);
        bool isTheirs = false;
        try
        {
            saved.RequireFits(_machine.Identity);
            VmState.RequireFits(_machine, saved.Manifest.State.Length);
            saved.CheckMap();
            SavedMigration migration = saved.Manifest.Migration!;
            Tell(new SenderFits());
            Tell(new GuestArrived(migration.Session, saved.ReadState(), migration.Running, Missing: null, saved));
            if (AwaitAnswer() is { } refusal)
            {
                throw new MigrationException(refusal);
            }

            Tell(new GuestHandedOver(TimeSpan.Zero, Stopwatch.GetTimestamp()));
            AwaitRunning();
            isTheirs = true;
        }
        finally
        {
            if (!isTheirs)
            {
                saved.Dispose();
            }
        }
    }
}
