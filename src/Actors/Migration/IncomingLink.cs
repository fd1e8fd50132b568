using System.Diagnostics;
using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vm;
using Vmm.Emulation.Migration;
using Vmm.Emulation.State;

namespace Vmm.Actors.Migration;

/// <summary>The receiver's end. RAM goes where it belongs as it comes; nothing else uses the machine meanwhile.</summary>
internal class IncomingLink : MigrationLink
{
    private readonly IVmMachine _machine;
    private readonly IMigrationListener _listener;
    private readonly bool _hasReturnPath;

    // Why the guest cannot go on here; null when it can.
    private readonly TaskCompletionSource<string?> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _running = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile MigrationReader? _reader;
    private volatile RamSink? _ram;

    /// <param name="listener">Disposed of when somebody has connected, and with this.</param>
    /// <param name="hasReturnPath">The sender hears what is answered.</param>
    protected IncomingLink(IActorRef actor, IVmMachine machine, IMigrationListener listener, bool hasReturnPath)
        : base(actor, "migration")
    {
        _machine = machine;
        _listener = listener;
        _hasReturnPath = hasReturnPath;
    }

    /// <summary>A link that is to be started.</summary>
    /// <param name="listener">That of <paramref name="endpoint"/>; belongs to the link.</param>
    public static IncomingLink Of(
        IActorRef actor, IVmMachine machine, IMigrationEndpoint endpoint, IMigrationListener listener, MigrationSettings settings) =>
        settings.Has(MigrationCapability.MappedRam) ? new IncomingFile(actor, machine, endpoint, listener)
            : new IncomingLink(actor, machine, listener, endpoint.HasReturnPath);

    /// <summary>Bytes that were read. Any thread.</summary>
    public long BytesRead => _reader?.Read ?? 0;

    /// <summary>The RAM that comes; null before. Any thread may read its figures.</summary>
    public RamSink? Ram => _ram;

    /// <summary>The guest could go on here, or cannot. The actor calls it once, after <see cref="GuestArrived"/>.</summary>
    public void Answer(string? refusal) => _answer.SetResult(refusal);

    /// <summary>The guest is here. The actor calls it once, after <see cref="GuestHandedOver"/>.</summary>
    public void ConfirmRunning() => _running.SetResult();

    protected override void Run()
    {
        Stream stream = Own(_listener.AcceptAsync(Stopped).GetAwaiter().GetResult());
        CloseListener();
        var reader = new MigrationReader(stream);
        var writer = new MigrationWriter(stream);
        _reader = reader;
        reader.ReadMagic();
        MigrationHello hello = ReadHello(reader, writer);
        Tell(new SenderFits());
        _machine.Ram.Clear();
        var ram = new RamSink(_machine.Ram, reader);
        _ram = ram;
        IReadOnlyList<SavedUnit> units = [];
        PageBits? missing = null;
        MigrationRecord record;
        while ((record = reader.Next()).Kind != MigrationRecordKind.End)
        {
            switch (record.Kind)
            {
                case MigrationRecordKind.State:
                    units = Archive.Read(reader.ReadPayload());
                    break;
                case MigrationRecordKind.Missing:
                    missing ??= new PageBits(_machine.Ram);
                    missing.Read(record, reader);
                    break;
                default:
                    ram.Take(record);
                    break;
            }
        }

        _machine.TraceStep("all is here");
        Tell(new GuestArrived(hello.Session, units, record.Argument != 0, missing));
        if (AwaitAnswer() is { } refusal)
        {
            Refuse(writer, refusal);
            throw new MigrationException(refusal);
        }

        if (_hasReturnPath)
        {
            writer.Write(MigrationRecordKind.Ready);
            writer.Flush();
            _machine.TraceStep("ready");
            record = reader.Expect(MigrationRecordKind.Commit);
            _machine.TraceStep("the guest is handed over");
            Tell(new GuestHandedOver(TimeSpan.FromTicks((long)(record.Argument / TimeSpan.NanosecondsPerTick)), Stopwatch.GetTimestamp()));
        }
        else
        {
            Tell(new GuestHandedOver(TimeSpan.Zero, Stopwatch.GetTimestamp()));
        }

        AwaitRunning();
        _machine.TraceStep("the guest is here");
        if (_hasReturnPath)
        {
            writer.Write(MigrationRecordKind.Running);
            writer.Flush();
        }

        if (missing != null)
        {
            new PageReceiver(_machine.Ram, _machine.MissingPages, reader, writer).Run(Stopped);
        }
    }

    protected override void CleanUp() => CloseListener();

    /// <summary>Waits until the guest could go on here.</summary>
    /// <returns>Why it cannot; null when it can.</returns>
    protected string? AwaitAnswer()
    {
        _answer.Task.Wait(Stopped);
        return _answer.Task.Result;
    }

    /// <summary>Waits until the guest is here.</summary>
    protected void AwaitRunning() => _running.Task.Wait(Stopped);

    private MigrationHello ReadHello(MigrationReader reader, MigrationWriter writer)
    {
        reader.Expect(MigrationRecordKind.Hello);
        try
        {
            var hello = MigrationHello.Parse(reader.ReadPayload());
            hello.RequireFits(_machine.Identity);
            if (_hasReturnPath)
            {
                writer.Write(MigrationRecordKind.Accepted);
                writer.Flush();
            }

            return hello;
        }
        catch (MigrationException e)
        {
            Refuse(writer, e.Message);
            throw;
        }
    }

    private void Refuse(MigrationWriter writer, string why)
    {
        if (_hasReturnPath)
        {
            writer.Write(MigrationRecordKind.Refused, why);
            writer.Flush();
        }
    }

    protected void CloseListener() => _listener.DisposeAsync().AsTask().GetAwaiter().GetResult();
}
