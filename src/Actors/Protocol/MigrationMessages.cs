namespace Vmm.Actors.Protocol;

/// <summary>
/// Send the running machine to another process. Answer: <see cref="MigrationStarted"/> when it has begun, or
/// <see cref="VmCommandRejected"/>, and then nothing has changed. How it goes on is told by <see cref="MigrationChanged"/> and
/// <see cref="GetMigration"/>.
/// </summary>
/// <param name="Uri">Where to: tcp:HOST:PORT, unix:PATH, file:PATH[,offset=N], exec:COMMAND or fd:N.</param>
/// <param name="Resume">Go on with a postcopy migration whose link was lost.</param>
public sealed record StartMigration(string Uri, bool Resume) : IProtocolMessage;

/// <summary>
/// Receive a machine, which takes the place of this one. Only for a VM that was started to receive one
/// (<see cref="VmRunState.InMigrate"/>). Answers as for <see cref="StartMigration"/>; it has begun when somebody can connect.
/// </summary>
/// <param name="Uri">Where from; as in <see cref="StartMigration"/>.</param>
public sealed record ReceiveMigration(string Uri) : IProtocolMessage;

/// <param name="Address">Where a receiver listens, as an address that <see cref="StartMigration"/> takes; empty for a sender.</param>
public sealed record MigrationStarted(string Address) : IProtocolMessage;

/// <summary>The machine waits for a migration to arrive, and executes nothing. Answer: <see cref="VmStatus"/>.</summary>
public sealed record PrepareIncoming : IProtocolMessage;

/// <summary>
/// Give up the migration that leaves this process; the guest goes on here. Answer: <see cref="MigrationCommandDone"/>. Once the guest has
/// been handed over it has no effect, and with postcopy it is rejected.
/// </summary>
public sealed record CancelMigration : IProtocolMessage;

/// <summary>
/// Go on with the switch-over for which <c>pause-before-switchover</c> waits. Answer: <see cref="MigrationCommandDone"/>.
/// </summary>
/// <param name="State">The status in which the migration is.</param>
public sealed record ContinueMigration(MigrationStatus State) : IProtocolMessage;

/// <summary>Cut the link of a postcopy migration. Answer: <see cref="MigrationCommandDone"/>.</summary>
public sealed record PauseMigration : IProtocolMessage;

/// <summary>
/// Cut the link of the migration under way, whatever it waits for: it then ends as after a lost link. Answer:
/// <see cref="MigrationCommandDone"/>.
/// </summary>
public sealed record YankMigration : IProtocolMessage;

/// <summary>Receiver: listen for a sender that goes on with a postcopy migration. Answer: <see cref="MigrationStarted"/>.</summary>
public sealed record RecoverMigration(string Uri) : IProtocolMessage;

/// <summary>
/// Hand the guest over now, and send the rest of its RAM when it asks for it. Answer: <see cref="MigrationCommandDone"/>.
/// </summary>
public sealed record StartPostcopy : IProtocolMessage;

public sealed record MigrationCommandDone : IProtocolMessage;

/// <summary>
/// Turn capabilities on or off: all of them or none. Answer: <see cref="MigrationCommandDone"/>, or <see cref="VmCommandRejected"/> for one
/// that is not supported, for two that exclude each other, or while a migration is under way.
/// </summary>
public sealed record SetMigrationCapabilities(MigrationCapability[] Capabilities, bool[] On) : IProtocolMessage;

/// <summary>Query. Answer: <see cref="MigrationCapabilities"/>.</summary>
public sealed record GetMigrationCapabilities : IProtocolMessage;

/// <summary>The answer; also published when one was turned on or off.</summary>
/// <param name="On">By the number of the capability.</param>
public sealed record MigrationCapabilities(bool[] On) : IProtocolMessage;

/// <summary>
/// Set parameters, also while a migration is under way: all of them or none. Answer: <see cref="MigrationCommandDone"/> or
/// <see cref="VmCommandRejected"/>.
/// </summary>
/// <param name="Values">By the place of the parameter in the other array: a number in decimal, or text.</param>
public sealed record SetMigrationParameters(MigrationParameter[] Parameters, string[] Values) : IProtocolMessage;

/// <summary>Query. Answer: <see cref="MigrationParameters"/>.</summary>
public sealed record GetMigrationParameters : IProtocolMessage;

/// <param name="Values">By the number of the parameter.</param>
public sealed record MigrationParameters(string[] Values) : IProtocolMessage;

/// <summary>Query. Answer: <see cref="MigrationInfo"/>.</summary>
public sealed record GetMigration : IProtocolMessage;

/// <summary>Query: why the VM can be neither saved nor moved now. Answer: <see cref="MoveBlockers"/>.</summary>
public sealed record GetMoveBlockers : IProtocolMessage;

/// <summary>Why the VM can be neither saved nor moved now.</summary>
/// <param name="Reasons">A line of each device that stands in the way; none if it can.</param>
public sealed record MoveBlockers(string[] Reasons) : IProtocolMessage;

/// <summary>Measure for some time how fast the guest writes RAM. Answer: <see cref="MigrationCommandDone"/> at once.</summary>
public sealed record MeasureDirtyRate(int Milliseconds) : IProtocolMessage;

/// <summary>Query. Answer: <see cref="DirtyRate"/>.</summary>
public sealed record GetDirtyRate : IProtocolMessage;

/// <summary>The last measurement.</summary>
/// <param name="StartedAt">The host's time, in seconds since 1970; 0 before the first measurement.</param>
/// <param name="BytesPerSecond">0 while it is measured.</param>
public sealed record DirtyRate(bool Measuring, long StartedAt, int Milliseconds, long BytesPerSecond) : IProtocolMessage;

/// <summary>Published: the status of a migration has changed.</summary>
public sealed record MigrationChanged(MigrationStatus Status) : IProtocolMessage;

/// <summary>Published: a pass over the RAM begins.</summary>
/// <param name="Pass">From 1.</param>
public sealed record MigrationPassed(long Pass) : IProtocolMessage;

/// <summary>The last migration, or the one that is under way. Counts are of bytes, times of milliseconds.</summary>
/// <param name="Incoming">It comes to this process.</param>
/// <param name="Problem">Why it failed, or is paused; empty when nothing is wrong.</param>
/// <param name="Address">Where a receiver listens; empty for a sender.</param>
/// <param name="TotalMilliseconds">From its start to its end, or to now.</param>
/// <param name="SetupMilliseconds">From its start to the first byte of RAM.</param>
/// <param name="DowntimeMilliseconds">How long the guest stood still; the one expected, before it has.</param>
/// <param name="Transferred">Bytes that were sent, all together.</param>
/// <param name="Remaining">RAM that is still to be sent.</param>
/// <param name="Total">RAM.</param>
/// <param name="ZeroPages">Pages that were sent as zeros.</param>
/// <param name="NormalPages">Pages that were sent whole.</param>
/// <param name="Pass">The pass over the RAM, from 1; 0 before.</param>
/// <param name="DirtyPagesPerSecond">How fast the guest writes.</param>
/// <param name="BytesPerSecond">How fast RAM is sent.</param>
/// <param name="PostcopyRequests">Pages that the receiver asked for.</param>
/// <param name="ThrottlePercent">How much of their time the vCPUs give up (auto-converge).</param>
/// <param name="PassPages">Pages that each pass sent.</param>
/// <param name="PassMilliseconds">How long each pass took.</param>
/// <param name="MultifdBytes">Bytes, of those that were sent, that went over channels beside the stream (multifd).</param>
/// <param name="PrecopyBytes">Those of them that were sent while the guest ran at the sender.</param>
/// <param name="PostcopyBytes">Those of them that were sent when it ran at the receiver.</param>
public sealed record MigrationInfo(
    MigrationStatus Status,
    bool Incoming,
    string Problem,
    string Address,
    long TotalMilliseconds,
    long SetupMilliseconds,
    long DowntimeMilliseconds,
    long Transferred,
    long Remaining,
    long Total,
    long ZeroPages,
    long NormalPages,
    long Pass,
    long DirtyPagesPerSecond,
    long BytesPerSecond,
    long PostcopyRequests,
    int ThrottlePercent,
    long[] PassPages,
    long[] PassMilliseconds,
    long MultifdBytes = 0,
    long PrecopyBytes = 0,
    long PostcopyBytes = 0) : IProtocolMessage
{
    /// <summary>Those of the bytes that were sent while the guest stood still.</summary>
    public long DowntimeBytes => Transferred - PrecopyBytes - PostcopyBytes;
}

/// <summary>QEMU's MigrationStatus (qapi/migration.json).</summary>
public enum MigrationStatus
{
    /// <summary>There has been none.</summary>
    None,
    Setup,
    Cancelling,
    Cancelled,
    Active,
    PostcopyActive,

    /// <summary>The link was lost after the guest was handed over, before all of its RAM was.</summary>
    PostcopyPaused,
    PostcopyRecoverSetup,
    PostcopyRecover,
    Completed,
    Failed,
    Colo,

    /// <summary>It waits for <see cref="ContinueMigration"/>, the guest standing still.</summary>
    PreSwitchover,

    /// <summary>The guest stands still, and its devices are being sent.</summary>
    Device,
    WaitUnplug,
}

/// <summary>QEMU's MigrationCapability. Those that are not supported are refused by name when they are turned on.</summary>
public enum MigrationCapability
{
    Xbzrle,
    RdmaPinAll,
    AutoConverge,
    ZeroBlocks,
    Events,
    PostcopyRam,
    XColo,
    ReleaseRam,
    ReturnPath,
    PauseBeforeSwitchover,
    Multifd,
    DirtyBitmaps,
    PostcopyBlocktime,
    LateBlockActivate,
    XIgnoreShared,
    ValidateUuid,
    BackgroundSnapshot,
    ZeroCopySend,
    PostcopyPreempt,
    SwitchoverAck,
    DirtyLimit,
    MappedRam,
}

/// <summary>QEMU's MigrationParameter, without those of what is not supported.</summary>
public enum MigrationParameter
{
    AnnounceInitial,
    AnnounceMax,
    AnnounceRounds,
    AnnounceStep,
    ThrottleTriggerThreshold,
    CpuThrottleInitial,
    CpuThrottleIncrement,
    CpuThrottleTailslow,
    TlsCreds,
    TlsHostname,
    TlsAuthz,
    MaxBandwidth,
    AvailSwitchoverBandwidth,
    DowntimeLimit,
    MultifdChannels,
    MaxPostcopyBandwidth,
    MaxCpuThrottle,
    MultifdCompression,
    MultifdZstdLevel,
    Mode,
    DirectIo,
}

/// <summary>An event of the journal of migrations, which says who owns the guest.</summary>
public interface IMigrationEvent : IProtocolMessage
{
    /// <summary>UTC milliseconds since 1970.</summary>
    long At { get; }
}

/// <summary>
/// The guest is handed over: from here on this process does not run it by itself. It is written before the receiver is told.
/// </summary>
/// <param name="Session">The UUID of the migration, the same at both sides.</param>
/// <param name="Address">Where to.</param>
public sealed record MigrationLeft(string Session, string Address, long At) : IMigrationEvent;

/// <summary>The receiver has said that the guest is there.</summary>
public sealed record MigrationGone(string Session, long At) : IMigrationEvent;

/// <summary>A guest has arrived and could go on here. It is written before the sender is told.</summary>
public sealed record MigrationArrived(string Session, long At) : IMigrationEvent;

/// <summary>A machine runs here that is nobody else's: one that arrived and was handed over, or one that a person started.</summary>
public sealed record MigrationOwned(long At) : IMigrationEvent;
