using System.Diagnostics;
using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Actors.Snapshots;
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
    private readonly TimeSpan _helloTimeout;

    // How many channels are to carry pages beside the stream.
    private readonly int _channelCount;

    // Why the guest cannot go on here; null when it can.
    private readonly TaskCompletionSource<string?> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _running = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile MigrationReader? _reader;
    private volatile RamSink? _ram;
    private volatile PageChannelsReceiver? _channels;

    /// <param name="listener">Disposed of when somebody has connected, and with this.</param>
    /// <param name="hasReturnPath">The sender hears what is answered.</param>
    /// <param name="channels">How many are to carry pages beside the stream (multifd); 0 for none.</param>
    /// <param name="helloTimeout">How long whoever connects has to say what it is.</param>
    protected IncomingLink(
        IActorRef actor, IVmMachine machine, IMigrationListener listener, bool hasReturnPath, int channels, TimeSpan helloTimeout)
        : base(actor, "migration")
    {
        _machine = machine;
        _listener = listener;
        _hasReturnPath = hasReturnPath;
        _channelCount = channels;
        _helloTimeout = helloTimeout;
    }

    /// <summary>A link that is to be started.</summary>
    /// <param name="listener">That of <paramref name="endpoint"/>; belongs to the link.</param>
    /// <param name="helloTimeout">How long whoever connects has to say what it is.</param>
    public static IncomingLink Of(
        IActorRef actor, IVmMachine machine, IMigrationEndpoint endpoint, IMigrationListener listener, MigrationSettings settings,
        TimeSpan helloTimeout) =>
        settings.Has(MigrationCapability.MappedRam) ? new IncomingFile(actor, machine, endpoint, listener)
            : new IncomingLink(
                actor, machine, listener, endpoint.HasReturnPath, settings.Channels,
                endpoint.HasReturnPath ? helloTimeout : Timeout.InfiniteTimeSpan);

    /// <summary>Bytes that were read. Any thread.</summary>
    public long BytesRead => (_reader?.Read ?? 0) + (_channels?.Read ?? 0);

    /// <summary>Pages of RAM that came whole. Any thread.</summary>
    public long Pages => (_ram?.Pages ?? 0) + (_channels?.Pages ?? 0);

    /// <summary>The guest could go on here, or cannot. The actor calls it once, after <see cref="GuestArrived"/>.</summary>
    public void Answer(string? refusal) => _answer.SetResult(refusal);

    /// <summary>The guest is here. The actor calls it once, after <see cref="GuestHandedOver"/>.</summary>
    public void ConfirmRunning() => _running.SetResult();

    protected override void Run()
    {
        var reception = Reception.Await(_listener, _helloTimeout, Own, why => Tell(new StrangerTurnedAway(why)), Stopped);
        if (_channelCount == 0)
        {
            CloseListener();
        }

        MigrationReader reader = reception.Reader;
        var writer = new MigrationWriter(reception.Stream);
        _reader = reader;
        MigrationHello hello = Refusing(writer, () => Judge(reception.Hello, writer));
        Tell(new SenderFits());
        _machine.Ram.Clear();
        using var ram = new RamSink(_machine.Ram, reader);
        _ram = ram;
        using PageChannelsReceiver? channels = OpenChannels(hello.Session);
        (MigrationRecord record, IReadOnlyList<SavedUnit> units, PageBits? missing) =
            Refusing(writer, () => Receive(reader, ram, channels));
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

    // All up to the record End, which is the first of what it returns.
    private (MigrationRecord End, IReadOnlyList<SavedUnit> Units, PageBits? Missing) Receive(
        MigrationReader reader, RamSink ram, PageChannelsReceiver? channels)
    {
        IReadOnlyList<SavedUnit> units = [];
        PageBits? missing = null;
        try
        {
            MigrationRecord record;
            while ((record = reader.Next()).Kind != MigrationRecordKind.End)
            {
                switch (record.Kind)
                {
                    case MigrationRecordKind.State when units.Count > 0:
                        throw new MigrationException("the migration stream has two states");
                    case MigrationRecordKind.State:
                        VmState.RequireFits(_machine, record.Length);
                        units = Archive.Read(reader.ReadPayload());
                        break;
                    case MigrationRecordKind.Missing:
                        missing ??= new PageBits(_machine.Ram);
                        missing.Read(record, reader);
                        break;
                    case MigrationRecordKind.Sync when channels != null:
                        channels.Sync(record.Argument, Stopped);
                        break;
                    default:
                        ram.Take(record);
                        break;
                }
            }

            channels?.End();
            return (record, units, missing);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // A channel that fails closes the stream.
            channels?.ThrowFailure();
            throw;
        }
    }

    // Null without multifd.
    private PageChannelsReceiver? OpenChannels(Guid session)
    {
        if (_channelCount == 0)
        {
            return null;
        }

        var channels = new PageChannelsReceiver(
            _machine.Ram, session, _channelCount, _helloTimeout, why => Tell(new StrangerTurnedAway(why)), CloseStream);
        _channels = channels;
        CancellationToken stop = Stopped;
        new Thread(() => Accept(channels, stop)) { Name = "multifd-accept", IsBackground = true }.Start();
        return channels;
    }

    private void Accept(PageChannelsReceiver channels, CancellationToken stop)
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(stop, channels.AllCame);
        try
        {
            while (true)
            {
                channels.AwaitRoom(enough.Token);
                try
                {
                    channels.Add(_listener.AcceptAsync(enough.Token).GetAwaiter().GetResult());
                }
                catch (StrangerException e)
                {
                    Tell(new StrangerTurnedAway(e.Message));
                }
            }
        }
        catch (OperationCanceledException) when (channels.AllCame.IsCancellationRequested)
        {
            CloseListener();
        }
        catch (Exception e)
        {
            channels.Fail(e);
        }
    }

    /// <summary>Waits until the guest could go on here.</summary>
    /// <returns>Why it cannot; null when it can.</returns>
    protected string? AwaitAnswer()
    {
        _answer.Task.Wait(Stopped);
        return _answer.Task.Result;
    }

    /// <summary>Waits until the guest is here.</summary>
    protected void AwaitRunning() => _running.Task.Wait(Stopped);

    private MigrationHello Judge(byte[] said, MigrationWriter writer)
    {
        var hello = MigrationHello.Parse(said);
        hello.RequireFits(_machine.Identity);
        if (hello.Channels != _channelCount)
        {
            throw new MigrationException($"the sender has {hello.Channels} multifd channels, but the receiver {_channelCount}: "
                + "set the capability 'multifd' and the parameter 'multifd-channels' alike");
        }

        if (_hasReturnPath)
        {
            writer.Write(MigrationRecordKind.Accepted);
            writer.Flush();
        }

        return hello;
    }

    // What is wrong with the sender or its stream, the sender is told before the link is closed.
    private T Refusing<T>(MigrationWriter writer, Func<T> work)
    {
        try
        {
            return work();
        }
        catch (Exception e) when (e is MigrationException or StateException)
        {
            try
            {
                Refuse(writer, e.Message);
            }
            catch (Exception gone) when (gone is IOException or ObjectDisposedException)
            {
                // Nobody hears it any more; what was wrong is said here.
            }

            throw;
        }
    }

    private void Refuse(MigrationWriter writer, string why)
    {
        if (_hasReturnPath)
        {
            writer.Refuse(why);
        }
    }

    protected void CloseListener() => _listener.DisposeAsync().AsTask().GetAwaiter().GetResult();
}
