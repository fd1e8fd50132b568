using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Actors.Snapshots;
using Vmm.Actors.Vm;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Migration;
using Vmm.Emulation.State;

namespace Vmm.Actors.Migration;

/// <summary>
/// The sender's end. RAM is sent in passes while the guest runs: first all of it, then what has been written meanwhile. When what is left
/// takes no longer than <c>downtime-limit</c> and another pass would not halve it, the guest is to be held, and the rest follows.
/// </summary>
internal class OutgoingLink : MigrationLink
{
    // So few pages are sent in less time than a pass takes to begin.
    private const int Few = 32;

    /// <summary>The guest that stands still.</summary>
    protected sealed record Rest(VmState State, bool Running);

    private readonly IVmMachine _machine;
    private readonly IMigrationEndpoint _endpoint;
    private readonly MigrationHello _hello;
    private readonly RateLimit _limit = new();
    private readonly TaskCompletionSource<Rest> _rest = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _commit = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // The actor sets them, the thread reads them.
    private volatile MigrationSettings _settings = MigrationSettings.Default;
    private volatile RamSource? _ram;
    private volatile PageServer? _server;
    private volatile PageChannels? _channels;
    private volatile bool _postcopy;

    // The thread sets them. The last two are the bytes that were written when the guest stood still, and when it ran at the receiver.
    private long _expectedMilliseconds;
    private long _writtenWhenHeld = long.MaxValue;
    private long _writtenWhenGone = long.MaxValue;

    protected OutgoingLink(
        IActorRef actor, IVmMachine machine, IMigrationEndpoint endpoint, MigrationHello hello, MigrationSettings settings)
        : base(actor, "migration")
    {
        _machine = machine;
        _endpoint = endpoint;
        _hello = hello;
        Change(settings);
    }

    /// <summary>A link that is to be started.</summary>
    public static OutgoingLink Of(
        IActorRef actor, IVmMachine machine, IMigrationEndpoint endpoint, MigrationHello hello, MigrationSettings settings) =>
        settings.Has(MigrationCapability.MappedRam) ? new OutgoingFile(actor, machine, endpoint, hello, settings)
            : new OutgoingLink(actor, machine, endpoint, hello, settings);

    /// <summary>How fast RAM is sent while the guest runs.</summary>
    protected RateLimit Limit => _limit;

    /// <summary>How fast pages are sent that the receiver lacks and has not asked for.</summary>
    public RateLimit PostcopyLimit { get; } = new();

    /// <summary>Bytes that were written. Any thread.</summary>
    public long Written => _ram?.Written ?? 0;

    /// <summary>Those of them that were written while the guest ran here. Any thread.</summary>
    public long WrittenBefore => Math.Min(Written, Volatile.Read(ref _writtenWhenHeld));

    /// <summary>Those of them that were written when the guest ran at the receiver (postcopy). Any thread.</summary>
    public long WrittenAfter => Math.Max(0, Written - Volatile.Read(ref _writtenWhenGone));

    /// <summary>Those of them that went over channels beside the stream (multifd). Any thread.</summary>
    public long MultifdBytes => _channels?.ChannelBytes ?? 0;

    /// <summary>The RAM that is sent; null before the first pass. Any thread may read its figures.</summary>
    public RamSource? Ram => _ram;

    /// <summary>How long sending what is left would take. Any thread.</summary>
    public long ExpectedMilliseconds => Volatile.Read(ref _expectedMilliseconds);

    /// <summary>The settings that hold from now on. The actor calls it.</summary>
    public void Change(MigrationSettings settings)
    {
        _settings = settings;
        _limit.BytesPerSecond = settings.Number(MigrationParameter.MaxBandwidth);
        PostcopyLimit.BytesPerSecond = settings.Number(MigrationParameter.MaxPostcopyBandwidth);
    }

    /// <summary>
    /// The guest is to be held now, and what is left of RAM sent when it runs at the receiver (postcopy). The actor calls it while RAM is
    /// being sent.
    /// </summary>
    public void StartPostcopy()
    {
        _postcopy = true;
        _ram?.Interrupt();
    }

    /// <summary>Pages that the receiver asked for. Any thread.</summary>
    public long Requested => _server?.Requested ?? 0;

    /// <summary>Pages that are still to be sent. Any thread.</summary>
    public long Left => _server?.Left ?? _ram?.Remaining ?? 0;

    /// <summary>The guest stands still; this is its state. The actor calls it once.</summary>
    /// <param name="running">It is to run at the receiver.</param>
    public void Finish(VmState state, bool running) => _rest.SetResult(new Rest(state, running));

    /// <summary>The guest is the receiver's. The actor calls it once, after <see cref="ReceiverReady"/>.</summary>
    public void Commit() => _commit.SetResult();

    protected override void Run()
    {
        Stream stream = Own(_endpoint.ConnectAsync(Stopped).GetAwaiter().GetResult());
        var writer = new MigrationWriter(stream);
        writer.WriteMagic();
        writer.Write(MigrationRecordKind.Hello, 0, _hello.ToJson());
        var reader = new MigrationReader(stream);
        if (_endpoint.HasReturnPath)
        {
            writer.Flush();
            reader.Expect(MigrationRecordKind.Accepted);
        }

        using PageChannels? channels = OpenChannels(writer);
        _channels = channels;
        using CancellationTokenRegistration cut = Stopped.Register(() => channels?.Dispose());
        PageBits? missing;
        try
        {
            var ram = new RecordedRam(_machine.Ram, _machine.DirtyLog, writer, channels ?? (IPageWriter)writer, _limit);
            (int[] left, Rest rest) = SendWhileRunning(ram);
            missing = SendRest(ram, writer, left, rest);
        }
        catch (IOException) when (_endpoint.HasReturnPath && !Stopped.IsCancellationRequested)
        {
            // A receiver that finds something wrong says what, and closes the link. So does one that has lost a channel.
            channels?.Dispose();
            if (reader.ReadRefusal() is { } refusal)
            {
                throw refusal;
            }

            throw;
        }

        if (_endpoint.HasReturnPath)
        {
            _machine.TraceStep("all is sent");
            reader.Expect(MigrationRecordKind.Ready);
            _machine.TraceStep("the receiver is ready");
            HandOver();
            writer.Write(MigrationRecordKind.Commit, (ulong)_machine.StoodStill.TotalNanoseconds);
            writer.Flush();
            reader.Expect(MigrationRecordKind.Running);
            _machine.TraceStep("the receiver has the guest");
            if (missing != null)
            {
                Volatile.Write(ref _writtenWhenGone, Written);
                Tell(new ReceiverRuns());
                var server = new PageServer(_machine.Ram, reader, writer, missing, PostcopyLimit);
                _server = server;
                server.Run(Stopped);
            }
        }
        else
        {
            HandOver();
            CloseStream();
        }
    }

    protected override void CleanUp()
    {
        if (_ram != null)
        {
            _machine.DirtyLog.Stop();
        }
    }

    // Null without multifd.
    private PageChannels? OpenChannels(MigrationWriter writer)
    {
        var streams = new List<Stream>();
        try
        {
            while (streams.Count < _hello.Channels)
            {
                streams.Add(_endpoint.ConnectAsync(Stopped).GetAwaiter().GetResult());
            }

            return streams.Count == 0 ? null : new PageChannels(writer, streams, _hello.Session, _settings.ZstdLevel);
        }
        catch
        {
            streams.ForEach(s => s.Dispose());
            throw;
        }
    }

    /// <summary>Sends RAM, and returns when the guest stands still, with the pages that were left when it was to.</summary>
    protected (int[] Left, Rest Guest) SendWhileRunning(RamSource ram)
    {
        Tell(new LinkAccepted());
        _machine.TraceStep("the receiver takes the machine");
        _ram = ram;
        if (_postcopy)
        {
            ram.Interrupt();
        }

        int[] left = SendPasses(ram);
        _machine.TraceStep($"{left.Length} pages are left");
        Tell(new StopWanted());
        _rest.Task.Wait(Stopped);
        Volatile.Write(ref _writtenWhenHeld, Written);
        return (left, _rest.Task.Result);
    }

    /// <summary>The receiver has all; returns when the guest is its own.</summary>
    protected void HandOver()
    {
        Tell(new ReceiverReady());
        _commit.Task.Wait(Stopped);
        CommitSent = true;
    }

    private int[] SendPasses(RamSource ram)
    {
        int throttle = 0;
        Tell(new PassBegan(1));
        int[] dirty = Union(ram.SendAll(Stopped), _machine.DirtyLog.Harvest());
        long sent = ram.NormalPages;
        int last = int.MaxValue;
        for (long pass = 2; !_postcopy && !CanStop(ram, dirty.Length, last); pass++)
        {
            if (sent > 0 && dirty.Length * 100L > sent * _settings.Number(MigrationParameter.ThrottleTriggerThreshold))
            {
                throttle = Throttle(throttle);
            }

            last = dirty.Length;
            sent = dirty.Length;
            Tell(new PassBegan(pass));
            _machine.TraceStep($"pass {pass}: {dirty.Length} pages");
            dirty = Union(ram.Send(dirty, limited: true, Stopped), _machine.DirtyLog.Harvest());
        }

        return dirty;
    }

    private bool CanStop(RamSource ram, int pages, int lastPages)
    {
        long known = _settings.Number(MigrationParameter.AvailSwitchoverBandwidth);
        long bandwidth = known > 0 ? known : ram.LinkBytesPerSecond;
        long milliseconds = (long)pages * GuestMemory.PageSize * 1000 / Math.Max(bandwidth, 1);
        Volatile.Write(ref _expectedMilliseconds, milliseconds);
        return milliseconds <= _settings.Number(MigrationParameter.DowntimeLimit) && (pages <= Few || pages > lastPages / 2);
    }

    private int Throttle(int percent)
    {
        MigrationSettings settings = _settings;
        if (!settings.Has(MigrationCapability.AutoConverge))
        {
            return percent;
        }

        long wanted = percent == 0 ? settings.Number(MigrationParameter.CpuThrottleInitial)
            : percent + settings.Number(MigrationParameter.CpuThrottleIncrement);
        percent = (int)Math.Min(wanted, settings.Number(MigrationParameter.MaxCpuThrottle));
        Tell(new ThrottleWanted(percent));
        return percent;
    }

    private static int[] Union(int[] pages, int[] others) =>
        pages.Length == 0 ? others : [.. pages.Concat(others).Distinct().Order()];

    /// <summary>What is still to be sent of the guest that stands still.</summary>
    protected int[] LastPages(int[] left) => Union(left, _machine.DirtyLog.Harvest());

    // The pages that the receiver has to ask for, or null when it has all.
    private PageBits? SendRest(RamSource ram, MigrationWriter writer, int[] left, Rest rest)
    {
        _machine.TraceStep("the state is taken");
        int[] pages = LastPages(left);
        PageBits? missing = null;
        if (_postcopy)
        {
            missing = new PageBits(_machine.Ram);
            foreach (int page in pages)
            {
                missing[page] = true;
            }

            missing.Write(writer, MigrationRecordKind.Missing);
        }
        else
        {
            ram.Send(pages, limited: false, Stopped);
        }

        _machine.TraceStep("the rest of RAM is sent");
        using var archive = new MemoryStream();
        Archive.Write(archive, rest.State.Units);
        writer.Write(MigrationRecordKind.State, 0, archive.GetBuffer().AsSpan(0, (int)archive.Length));
        writer.Write(MigrationRecordKind.End, rest.Running ? 1ul : 0);
        writer.Flush();
        return missing;
    }
}
