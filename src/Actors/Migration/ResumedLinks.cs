using Akka.Actor;
using Vmm.Actors.Vm;
using Vmm.Emulation.Migration;

namespace Vmm.Actors.Migration;

/// <summary>The sender's end of a link that takes the place of a lost one: the receiver says what it still misses.</summary>
internal sealed class ResumedOutgoingLink(
    IActorRef actor, IVmMachine machine, IMigrationEndpoint endpoint, MigrationHello hello, RateLimit limit)
    : MigrationLink(actor, "migration")
{
    private volatile PageServer? _server;

    /// <summary>Pages that are still to be sent. Any thread.</summary>
    public long Left => _server?.Left ?? 0;

    /// <summary>Pages that the receiver asked for. Any thread.</summary>
    public long Requested => _server?.Requested ?? 0;

    protected override void Run()
    {
        Stream stream = Own(endpoint.ConnectAsync(Stopped).GetAwaiter().GetResult());
        var writer = new MigrationWriter(stream);
        var reader = new MigrationReader(stream);
        writer.WriteMagic();
        writer.Write(MigrationRecordKind.Hello, 0, hello.ToJson());
        writer.Flush();
        reader.Expect(MigrationRecordKind.Accepted);
        var missing = new PageBits(machine.Ram);
        MigrationRecord record;
        while ((record = reader.Next()).Kind == MigrationRecordKind.Missing)
        {
            missing.Read(record, reader);
        }

        if (record.Kind != MigrationRecordKind.End)
        {
            throw new MigrationException($"the receiver sends a record {record.Kind} in place of {MigrationRecordKind.End}");
        }

        Tell(new LinkResumed());
        var server = new PageServer(machine.Ram, reader, writer, missing, limit);
        _server = server;
        server.Run(Stopped);
    }
}

/// <summary>The receiver's end of a link that takes the place of a lost one.</summary>
/// <param name="session">The migration that goes on.</param>
/// <param name="helloTimeout">How long whoever connects has to say what it is.</param>
internal sealed class ResumedIncomingLink(
    IActorRef actor, IVmMachine machine, IMigrationListener listener, Guid session, TimeSpan helloTimeout)
    : MigrationLink(actor, "migration")
{
    protected override void Run()
    {
        var reception = Reception.Await(listener, helloTimeout, Own, why => Tell(new StrangerTurnedAway(why)), Stopped);
        CloseListener();
        var writer = new MigrationWriter(reception.Stream);
        MigrationReader reader = reception.Reader;
        var hello = MigrationHello.Parse(reception.Hello);
        if (!hello.Resume || hello.Session != session)
        {
            const string Other = "this receiver goes on with another migration";
            writer.Refuse(Other);
            throw new MigrationException(Other);
        }

        writer.Write(MigrationRecordKind.Accepted);
        PageBits.Of(machine.Ram, machine.MissingPages.ToBits()).Write(writer, MigrationRecordKind.Missing);
        writer.Write(MigrationRecordKind.End);
        writer.Flush();
        machine.MissingPages.AskAgain();
        Tell(new LinkResumed());
        new PageReceiver(machine.Ram, machine.MissingPages, reader, writer).Run(Stopped);
    }

    protected override void CleanUp() => CloseListener();

    private void CloseListener() => listener.DisposeAsync().AsTask().GetAwaiter().GetResult();
}
