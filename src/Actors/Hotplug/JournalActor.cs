using System.Collections.Immutable;
using Akka.Actor;
using Akka.Event;
using Vmm.Actors.Hosting;
using Vmm.Actors.Journals;
using Vmm.Actors.Protocol;

namespace Vmm.Actors.Hotplug;

/// <summary>Asks for what is written. Answer: <see cref="JournalContents"/>. From then on the sender is told of each write.</summary>
internal sealed record ReadJournal;

/// <param name="Written">The state by the events that are in the journal.</param>
/// <param name="Unwritten">Facts that are still to be written, in their order.</param>
internal sealed record JournalContents(HotplugState Written, ImmutableList<IHotplugEvent> Unwritten);

/// <summary>
/// Writes the events of a request, which can be refused. One attempt is made. Answer: <see cref="EventsWritten"/> or <see
/// cref="RequestNotWritten"/>.
/// </summary>
internal sealed record WriteRequest(IReadOnlyList<IHotplugEvent> Events);

/// <summary>A request could not be written, and nothing of it is in the journal.</summary>
internal sealed record RequestNotWritten(string Reason);

/// <summary>Writes a fact: something that has happened, and that cannot be refused. It is written as soon as that is possible.</summary>
internal sealed record WriteFact(IHotplugEvent Event);

/// <summary>The journal cannot be written at present, and facts wait.</summary>
internal sealed record FactsNotWritten;

/// <summary>Events are in the journal, in the order in which they were sent. Those of a request come with the facts before it.</summary>
/// <param name="OfRequest">Whether the last of them are those of a <see cref="WriteRequest"/>.</param>
internal sealed record EventsWritten(IReadOnlyList<IHotplugEvent> Events, bool OfRequest);

/// <summary>
/// The journal's actor: a write may take long, and may fail. A request that cannot be written is refused and has no effect. A fact, such as
/// that the guest has ejected a CPU, waits until it can be written; the write is tried again, at ever longer intervals. The order is kept:
/// a request is written with the facts before it, or not at all.
/// </summary>
public sealed class JournalActor : MessageActor, IWithTimers
{
    private static readonly TimeSpan s_firstRetry = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_longestRetry = TimeSpan.FromSeconds(5);

    private readonly IHotplugJournal _journal;
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private IActorRef _reader = ActorRefs.Nobody;
    private ImmutableList<IHotplugEvent> _unwritten = [];
    private TimeSpan _retry = s_firstRetry;

    private sealed record Retry;

    /// <param name="journal">The journal. It outlives the actor.</param>
    public JournalActor(IHotplugJournal journal)
    {
        _journal = journal;
        Receive<ReadJournal>(_ =>
        {
            _reader = Sender;
            _reader.Tell(new JournalContents(journal.State, _unwritten));
        });
        Receive<WriteRequest>(request =>
        {
            if (Write(request.Events) is { } failure)
            {
                Sender.Tell(new RequestNotWritten(failure));
            }
        });
        Receive<WriteFact>(fact =>
        {
            _unwritten = _unwritten.Add(fact.Event);

            // A retry that is already planned is soon enough for this fact too.
            if (!Timers.IsTimerActive(nameof(Retry)))
            {
                WriteFacts();
            }
        });
        Receive<Retry>(_ => WriteFacts());
    }

    public ITimerScheduler Timers { get; set; } = null!;

    private void WriteFacts()
    {
        if (_unwritten.IsEmpty || Write([]) is not { } failure)
        {
            return;
        }

        _reader.Tell(new FactsNotWritten());
        if (_retry == s_firstRetry)
        {
            _log.Warning("{0}; {1} waits for it", failure, _unwritten[0]);
        }

        Timers.StartSingleTimer(nameof(Retry), new Retry(), _retry);
        _retry = _retry * 2 < s_longestRetry ? _retry * 2 : s_longestRetry;
    }

    // Tries a write, and returns why it failed, or null.
    private string? Write(IReadOnlyList<IHotplugEvent> request)
    {
        IReadOnlyList<IHotplugEvent> events = [.. _unwritten, .. request];
        try
        {
            _journal.Append(events);
        }
        catch (JournalException e)
        {
            return e.Message;
        }

        _unwritten = [];
        _retry = s_firstRetry;
        Timers.Cancel(nameof(Retry));
        _reader.Tell(new EventsWritten(events, request.Count > 0));
        return null;
    }
}
