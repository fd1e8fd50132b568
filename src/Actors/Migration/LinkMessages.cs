using Akka.Actor;
using Vmm.Emulation.Migration;
using Vmm.Emulation.Snapshots;
using Vmm.Emulation.State;

namespace Vmm.Actors.Migration;

// What the thread of a link tells its actor. The last message of a link is LinkEnded; the thread touches nothing of the machine after it.

/// <summary>The receiver takes the machine: RAM is being sent.</summary>
internal sealed record LinkAccepted;

/// <summary>A pass over the RAM begins.</summary>
/// <param name="Pass">From 1.</param>
internal sealed record PassBegan(long Pass);

/// <summary>What is left of RAM can be sent while the guest stands still.</summary>
internal sealed record StopWanted;

/// <summary>The guest writes faster than RAM is sent: its vCPUs are to give up some of their time.</summary>
internal sealed record ThrottleWanted(int Percent);

/// <summary>The receiver has all of the guest.</summary>
internal sealed record ReceiverReady;

/// <summary>The guest runs at the receiver, which lacks some of its RAM still.</summary>
internal sealed record ReceiverRuns;

/// <summary>Pages are sent and asked for again, after a lost link.</summary>
internal sealed record LinkResumed;

/// <summary>Somebody has connected who is no sender, or says nothing; the link was closed, and another one is waited for.</summary>
/// <param name="Why">One line.</param>
internal sealed record StrangerTurnedAway(string Why);

/// <summary>A sender has connected whose machine fits.</summary>
internal sealed record SenderFits;

/// <summary>All of the guest is here.</summary>
/// <param name="Running">It is to run.</param>
/// <param name="Missing">Pages that have not come; null when all have.</param>
/// <param name="File">Has its RAM, which is still to be mapped; null when RAM is here.</param>
internal sealed record GuestArrived(
    Guid Session, IReadOnlyList<SavedUnit> Units, bool Running, PageBits? Missing, Snapshot? File = null);

/// <summary>The sender has handed the guest over.</summary>
/// <param name="StoodStill">How long the guest had stood still then.</param>
/// <param name="HeardAt">Host time (Stopwatch) at which this was heard.</param>
internal sealed record GuestHandedOver(TimeSpan StoodStill, long HeardAt);

/// <summary>The link is over.</summary>
/// <param name="Problem">Why; null when all that was to be said has been.</param>
/// <param name="CommitSent">The receiver may have been told that the guest is its own. A receiver never sends it.</param>
internal sealed record LinkEnded(string? Problem, bool CommitSent);

/// <summary>To the actor of a postcopy migration whose link was lost: go on by another one.</summary>
/// <param name="Requester">Is answered with <see cref="Protocol.MigrationStarted"/> or a rejection.</param>
internal sealed record ResumeLink(IMigrationEndpoint Endpoint, IActorRef Requester);
