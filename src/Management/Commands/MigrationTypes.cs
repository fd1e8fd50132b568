using Vmm.Actors.Protocol;
using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

// The types of qapi/migration.json of QEMU 10.0, as its query-qmp-schema has them. Capabilities and statuses are those of the protocol.

public enum MigrationChannelType
{
    Main,
    Cpr,
}

public enum MigrationAddressType
{
    Socket,
    Exec,
    Rdma,
    File,
}

public enum SocketAddressType
{
    Inet,
    Unix,
    Vsock,
    Fd,
}

public sealed record InetSocketAddress(
    string Host, string Port, bool? Numeric, long? To, bool? Ipv4, bool? Ipv6, bool? KeepAlive, bool? Mptcp);

public sealed record UnixSocketAddress(string Path, bool? Abstract, bool? Tight);

public sealed record VsockSocketAddress(string Cid, string Port);

public sealed record FdSocketAddress(string Str);

[QapiUnion("type")]
[QapiBranch("inet", typeof(InetSocketAddress))]
[QapiBranch("unix", typeof(UnixSocketAddress))]
[QapiBranch("vsock", typeof(VsockSocketAddress))]
[QapiBranch("fd", typeof(FdSocketAddress))]
public sealed record SocketAddress(SocketAddressType Type);

public sealed record MigrationExecCommand(string[] Args);

public sealed record FileMigrationArguments(string Filename, ulong Offset);

[QapiUnion("transport")]
[QapiBranch("socket", typeof(SocketAddress))]
[QapiBranch("exec", typeof(MigrationExecCommand))]
[QapiBranch("rdma", typeof(InetSocketAddress))]
[QapiBranch("file", typeof(FileMigrationArguments))]
public sealed record MigrationAddress(MigrationAddressType Transport);

public sealed record MigrationChannel(MigrationChannelType ChannelType, MigrationAddress Addr);

public sealed record MigrateArguments(string? Uri, MigrationChannel[]? Channels, bool? Detach, bool? Resume);

public sealed record MigrateIncomingArguments(string? Uri, MigrationChannel[]? Channels, bool? ExitOnError);

public sealed record MigrateContinueArguments(MigrationStatus State);

public sealed record MigrateRecoverArguments(string Uri);

public sealed record MigrationCapabilityStatus(MigrationCapability Capability, bool State);

public sealed record MigrationCapabilityArguments(MigrationCapabilityStatus[] Capabilities);

public enum MultifdCompression
{
    None,
    Zlib,
    Zstd,
}

public enum MigrationMode
{
    Normal,
    CprReboot,
    CprTransfer,
}

public enum ZeroPageDetection
{
    None,
    Legacy,
    Multifd,
}

public sealed record BitmapTransform(bool? Persistent);

public sealed record BitmapAlias(string Name, string Alias, BitmapTransform? Transform);

public sealed record BitmapNodeAlias(string NodeName, string Alias, BitmapAlias[] Bitmaps);

public sealed record MigrateSetParameters(
    long? AnnounceInitial,
    long? AnnounceMax,
    long? AnnounceRounds,
    long? AnnounceStep,
    long? ThrottleTriggerThreshold,
    long? CpuThrottleInitial,
    long? CpuThrottleIncrement,
    bool? CpuThrottleTailslow,
    StrOrNull? TlsCreds,
    StrOrNull? TlsHostname,
    StrOrNull? TlsAuthz,
    ulong? MaxBandwidth,
    ulong? AvailSwitchoverBandwidth,
    ulong? DowntimeLimit,
    [property: QapiFeature("unstable")] long? XCheckpointDelay,
    long? MultifdChannels,
    ulong? XbzrleCacheSize,
    ulong? MaxPostcopyBandwidth,
    long? MaxCpuThrottle,
    MultifdCompression? MultifdCompression,
    long? MultifdZlibLevel,
    long? MultifdQatzipLevel,
    long? MultifdZstdLevel,
    BitmapNodeAlias[]? BlockBitmapMapping,
    [property: QapiFeature("unstable")] long? XVcpuDirtyLimitPeriod,
    long? VcpuDirtyLimit,
    MigrationMode? Mode,
    ZeroPageDetection? ZeroPageDetection,
    bool? DirectIo);

public sealed record MigrationParametersInfo(
    long? AnnounceInitial,
    long? AnnounceMax,
    long? AnnounceRounds,
    long? AnnounceStep,
    long? ThrottleTriggerThreshold,
    long? CpuThrottleInitial,
    long? CpuThrottleIncrement,
    bool? CpuThrottleTailslow,
    string? TlsCreds,
    string? TlsHostname,
    string? TlsAuthz,
    ulong? MaxBandwidth,
    ulong? AvailSwitchoverBandwidth,
    ulong? DowntimeLimit,
    [property: QapiFeature("unstable")] long? XCheckpointDelay,
    long? MultifdChannels,
    ulong? XbzrleCacheSize,
    ulong? MaxPostcopyBandwidth,
    long? MaxCpuThrottle,
    MultifdCompression? MultifdCompression,
    long? MultifdZlibLevel,
    long? MultifdQatzipLevel,
    long? MultifdZstdLevel,
    BitmapNodeAlias[]? BlockBitmapMapping,
    [property: QapiFeature("unstable")] long? XVcpuDirtyLimitPeriod,
    long? VcpuDirtyLimit,
    MigrationMode? Mode,
    ZeroPageDetection? ZeroPageDetection,
    bool? DirectIo);

/// <param name="Duplicate">Pages that were sent as zeros.</param>
/// <param name="Mbps">Millions of bits in a second.</param>
/// <param name="DirtySyncCount">Passes over the RAM.</param>
public sealed record MigrationRamStats(
    long Transferred,
    long Remaining,
    long Total,
    long Duplicate,
    long Normal,
    long NormalBytes,
    long DirtyPagesRate,
    double Mbps,
    long DirtySyncCount,
    long PostcopyRequests,
    long PageSize,
    long MultifdBytes,
    long PagesPerSecond,
    long PrecopyBytes,
    long DowntimeBytes,
    long PostcopyBytes,
    long DirtySyncMissedZeroCopy);

public sealed record VfioStats(long Transferred);

public sealed record XbzrleCacheStats(
    long CacheSize, long Bytes, long Pages, long CacheMiss, double CacheMissRate, double EncodingRate, long Overflow);

public sealed record MigrationStatusInfo(
    MigrationStatus? Status,
    MigrationRamStats? Ram = null,
    VfioStats? Vfio = null,
    XbzrleCacheStats? XbzrleCache = null,
    long? TotalTime = null,
    long? ExpectedDowntime = null,
    long? Downtime = null,
    long? SetupTime = null,
    long? CpuThrottlePercentage = null,
    string? ErrorDesc = null,
    string[]? BlockedReasons = null,
    long? PostcopyBlocktime = null,
    long[]? PostcopyVcpuBlocktime = null,
    SocketAddress[]? SocketAddress = null,
    long? DirtyLimitThrottleTimePerRound = null,
    long? DirtyLimitRingFullTime = null);

public enum TimeUnit
{
    Second,
    Millisecond,
}

public enum DirtyRateMeasureMode
{
    PageSampling,
    DirtyRing,
    DirtyBitmap,
}

public enum DirtyRateStatus
{
    Unstarted,
    Measuring,
    Measured,
}

public sealed record CalcDirtyRateArguments(long CalcTime, TimeUnit? CalcTimeUnit, long? SamplePages, DirtyRateMeasureMode? Mode);

public sealed record QueryDirtyRateArguments(TimeUnit? CalcTimeUnit);

public sealed record VcpuDirtyRate(long Id, long DirtyRate);

/// <param name="DirtyRate">MiB in a second; null until it is measured.</param>
/// <param name="StartTime">Seconds since 1970.</param>
/// <param name="CalcTime">How long it is measured, in <paramref name="CalcTimeUnit"/>.</param>
public sealed record DirtyRateInfo(
    long? DirtyRate,
    DirtyRateStatus Status,
    long StartTime,
    long CalcTime,
    TimeUnit CalcTimeUnit,
    long SamplePages,
    DirtyRateMeasureMode Mode,
    VcpuDirtyRate[]? VcpuDirtyRate = null);

/// <param name="Pass">From 1.</param>
/// <param name="Pages">Pages of 4096 bytes that it sent whole; after the first pass, those that the guest had written.</param>
public sealed record MigrationPassInfo(long Pass, long Pages, long Milliseconds);

public sealed record MigrationEvent(MigrationStatus Status);

public sealed record MigrationPassEvent(long Pass);
