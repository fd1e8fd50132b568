using System.Text.Json.Serialization;
using Vmm.Actors.Protocol;
using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

// Types of the commands about disks, with the names and members of QEMU's qapi/block-core.json. Members and values that stand for what is
// not supported are left out: a program finds in the schema what there is.

public sealed record BlockResizeArguments(string? Device, string? NodeName, long Size);

/// <summary>What was asked of a disk.</summary>
public enum IoOperationType
{
    Read,
    Write,
}

public sealed record BlockIoErrorEvent(
    string QomPath, string Device, string? NodeName, IoOperationType Operation, BlockErrorAction Action, bool? Nospace, string Reason);

public enum BlockDeviceIoStatus
{
    Ok,
    Failed,
    Nospace,
}

public enum BlockdevDetectZeroesOptions
{
    Off,
    On,
    Unmap,
}

public sealed record BlockInfo(
    string Device, string? Qdev, string Type, bool Removable, bool Locked, BlockDeviceInfo? Inserted, BlockDeviceIoStatus? IoStatus);

public sealed record BlockdevCacheInfo(bool Writeback, bool Direct, bool NoFlush);

/// <summary>A node with the limits of the disk that it is the uppermost one of.</summary>
public sealed record BlockDeviceInfo(
    string File,
    string? NodeName,
    bool Ro,
    string Drv,
    [property: JsonPropertyName("backing_file")] string? BackingFile,
    [property: JsonPropertyName("backing_file_depth")] long BackingFileDepth,
    bool Active,
    bool Encrypted,
    [property: JsonPropertyName("detect_zeroes")] BlockdevDetectZeroesOptions DetectZeroes,
    long Bps,
    [property: JsonPropertyName("bps_rd")] long BpsRd,
    [property: JsonPropertyName("bps_wr")] long BpsWr,
    long Iops,
    [property: JsonPropertyName("iops_rd")] long IopsRd,
    [property: JsonPropertyName("iops_wr")] long IopsWr,
    ImageInfo Image,
    [property: JsonPropertyName("bps_max")] long? BpsMax,
    [property: JsonPropertyName("bps_rd_max")] long? BpsRdMax,
    [property: JsonPropertyName("bps_wr_max")] long? BpsWrMax,
    [property: JsonPropertyName("iops_max")] long? IopsMax,
    [property: JsonPropertyName("iops_rd_max")] long? IopsRdMax,
    [property: JsonPropertyName("iops_wr_max")] long? IopsWrMax,
    [property: JsonPropertyName("bps_max_length")] long? BpsMaxLength,
    [property: JsonPropertyName("bps_rd_max_length")] long? BpsRdMaxLength,
    [property: JsonPropertyName("bps_wr_max_length")] long? BpsWrMaxLength,
    [property: JsonPropertyName("iops_max_length")] long? IopsMaxLength,
    [property: JsonPropertyName("iops_rd_max_length")] long? IopsRdMaxLength,
    [property: JsonPropertyName("iops_wr_max_length")] long? IopsWrMaxLength,
    [property: JsonPropertyName("iops_size")] long? IopsSize,
    string? Group,
    BlockdevCacheInfo Cache,
    [property: JsonPropertyName("write_threshold")] long WriteThreshold);

/// <summary>An image, and the one that it stands on.</summary>
public sealed record ImageInfo(
    string Filename,
    string Format,
    bool? DirtyFlag,
    long? ActualSize,
    long VirtualSize,
    long? ClusterSize,
    string? BackingFilename,
    string? FullBackingFilename,
    string? BackingFilenameFormat,
    SnapshotInfo[]? Snapshots,
    ImageInfo? BackingImage,
    ImageInfoSpecific? FormatSpecific);

/// <summary>An internal snapshot of an image.</summary>
public sealed record SnapshotInfo(
    string Id, string Name, long VmStateSize, long DateSec, long DateNsec, long VmClockSec, long VmClockNsec,
    long? Icount);

public enum ImageInfoSpecificKind
{
    Qcow2,
    File,
}

[QapiUnion("type")]
[QapiBranch("qcow2", typeof(ImageInfoSpecificQcow2Branch))]
[QapiBranch("file", typeof(ImageInfoSpecificFileBranch))]
public record ImageInfoSpecific(ImageInfoSpecificKind Type);

public sealed record ImageInfoOfQcow2(ImageInfoSpecificQcow2 Data) : ImageInfoSpecific(ImageInfoSpecificKind.Qcow2);

public sealed record ImageInfoOfFile(ImageInfoSpecificFile Data) : ImageInfoSpecific(ImageInfoSpecificKind.File);

public sealed record ImageInfoSpecificQcow2Branch(ImageInfoSpecificQcow2 Data);

public sealed record ImageInfoSpecificFileBranch(ImageInfoSpecificFile Data);

public enum Qcow2CompressionType
{
    Zlib,
    Zstd,
}

public sealed record ImageInfoSpecificQcow2(
    string Compat, [property: JsonPropertyName("extended-l2")] bool? ExtendedL2, bool? LazyRefcounts, bool? Corrupt, long RefcountBits,
    Qcow2CompressionType CompressionType);

public sealed record ImageInfoSpecificFile;

public sealed record QueryNamedBlockNodesArguments(bool? Flat);

public sealed record QueryBlockstatsArguments(bool? QueryNodes);

/// <summary>Figures of a disk, or of a node, and of those below it.</summary>
public sealed record BlockStats(
    string? Device, string? Qdev, string? NodeName, BlockDeviceStats Stats, BlockStatsSpecific? DriverSpecific, BlockStats? Parent,
    BlockStats? Backing);

/// <summary>Figures of a node that only its driver has.</summary>
[QapiUnion("driver")]
[QapiBranch("file", typeof(BlockStatsSpecificFile))]
[QapiBranch("host_device", typeof(BlockStatsSpecificFile))]
public record BlockStatsSpecific(BlockdevDriver Driver);

public sealed record BlockStatsSpecificFile(long DiscardNbOk, long DiscardNbFailed, long DiscardBytesOk);

public sealed record BlockStatsOfFile(long DiscardNbOk, long DiscardNbFailed, long DiscardBytesOk)
    : BlockStatsSpecific(BlockdevDriver.File);

public sealed record BlockDeviceStats(
    [property: JsonPropertyName("rd_bytes")] long RdBytes,
    [property: JsonPropertyName("wr_bytes")] long WrBytes,
    [property: JsonPropertyName("zone_append_bytes")] long ZoneAppendBytes,
    [property: JsonPropertyName("unmap_bytes")] long UnmapBytes,
    [property: JsonPropertyName("rd_operations")] long RdOperations,
    [property: JsonPropertyName("wr_operations")] long WrOperations,
    [property: JsonPropertyName("zone_append_operations")] long ZoneAppendOperations,
    [property: JsonPropertyName("flush_operations")] long FlushOperations,
    [property: JsonPropertyName("unmap_operations")] long UnmapOperations,
    [property: JsonPropertyName("rd_total_time_ns")] long RdTotalTimeNs,
    [property: JsonPropertyName("wr_total_time_ns")] long WrTotalTimeNs,
    [property: JsonPropertyName("zone_append_total_time_ns")] long ZoneAppendTotalTimeNs,
    [property: JsonPropertyName("flush_total_time_ns")] long FlushTotalTimeNs,
    [property: JsonPropertyName("unmap_total_time_ns")] long UnmapTotalTimeNs,
    [property: JsonPropertyName("wr_highest_offset")] long WrHighestOffset,
    [property: JsonPropertyName("rd_merged")] long RdMerged,
    [property: JsonPropertyName("wr_merged")] long WrMerged,
    [property: JsonPropertyName("zone_append_merged")] long ZoneAppendMerged,
    [property: JsonPropertyName("unmap_merged")] long UnmapMerged,
    [property: JsonPropertyName("failed_rd_operations")] long FailedRdOperations,
    [property: JsonPropertyName("failed_wr_operations")] long FailedWrOperations,
    [property: JsonPropertyName("failed_zone_append_operations")] long FailedZoneAppendOperations,
    [property: JsonPropertyName("failed_flush_operations")] long FailedFlushOperations,
    [property: JsonPropertyName("failed_unmap_operations")] long FailedUnmapOperations,
    [property: JsonPropertyName("invalid_rd_operations")] long InvalidRdOperations,
    [property: JsonPropertyName("invalid_wr_operations")] long InvalidWrOperations,
    [property: JsonPropertyName("invalid_zone_append_operations")] long InvalidZoneAppendOperations,
    [property: JsonPropertyName("invalid_flush_operations")] long InvalidFlushOperations,
    [property: JsonPropertyName("invalid_unmap_operations")] long InvalidUnmapOperations,
    [property: JsonPropertyName("idle_time_ns")] long? IdleTimeNs,
    [property: JsonPropertyName("account_invalid")] bool AccountInvalid,
    [property: JsonPropertyName("account_failed")] bool AccountFailed,
    [property: JsonPropertyName("timed_stats")] BlockDeviceTimedStats[] TimedStats);

public sealed record BlockDeviceTimedStats(
    [property: JsonPropertyName("interval_length")] long IntervalLength,
    [property: JsonPropertyName("min_rd_latency_ns")] long MinRdLatencyNs,
    [property: JsonPropertyName("max_rd_latency_ns")] long MaxRdLatencyNs,
    [property: JsonPropertyName("avg_rd_latency_ns")] long AvgRdLatencyNs,
    [property: JsonPropertyName("min_wr_latency_ns")] long MinWrLatencyNs,
    [property: JsonPropertyName("max_wr_latency_ns")] long MaxWrLatencyNs,
    [property: JsonPropertyName("avg_wr_latency_ns")] long AvgWrLatencyNs,
    [property: JsonPropertyName("min_zone_append_latency_ns")] long MinZoneAppendLatencyNs,
    [property: JsonPropertyName("max_zone_append_latency_ns")] long MaxZoneAppendLatencyNs,
    [property: JsonPropertyName("avg_zone_append_latency_ns")] long AvgZoneAppendLatencyNs,
    [property: JsonPropertyName("min_flush_latency_ns")] long MinFlushLatencyNs,
    [property: JsonPropertyName("max_flush_latency_ns")] long MaxFlushLatencyNs,
    [property: JsonPropertyName("avg_flush_latency_ns")] long AvgFlushLatencyNs,
    [property: JsonPropertyName("avg_rd_queue_depth")] double AvgRdQueueDepth,
    [property: JsonPropertyName("avg_wr_queue_depth")] double AvgWrQueueDepth,
    [property: JsonPropertyName("avg_zone_append_queue_depth")] double AvgZoneAppendQueueDepth);

public sealed record BlockIoThrottle(
    [property: QapiFeature("deprecated")] string? Device,
    string? Id,
    long Bps,
    [property: JsonPropertyName("bps_rd")] long BpsRd,
    [property: JsonPropertyName("bps_wr")] long BpsWr,
    long Iops,
    [property: JsonPropertyName("iops_rd")] long IopsRd,
    [property: JsonPropertyName("iops_wr")] long IopsWr,
    [property: JsonPropertyName("bps_max")] long? BpsMax,
    [property: JsonPropertyName("bps_rd_max")] long? BpsRdMax,
    [property: JsonPropertyName("bps_wr_max")] long? BpsWrMax,
    [property: JsonPropertyName("iops_max")] long? IopsMax,
    [property: JsonPropertyName("iops_rd_max")] long? IopsRdMax,
    [property: JsonPropertyName("iops_wr_max")] long? IopsWrMax,
    [property: JsonPropertyName("bps_max_length")] long? BpsMaxLength,
    [property: JsonPropertyName("bps_rd_max_length")] long? BpsRdMaxLength,
    [property: JsonPropertyName("bps_wr_max_length")] long? BpsWrMaxLength,
    [property: JsonPropertyName("iops_max_length")] long? IopsMaxLength,
    [property: JsonPropertyName("iops_rd_max_length")] long? IopsRdMaxLength,
    [property: JsonPropertyName("iops_wr_max_length")] long? IopsWrMaxLength,
    [property: JsonPropertyName("iops_size")] long? IopsSize,
    string? Group);

public enum NewImageMode
{
    Existing,
    AbsolutePaths,
}

public sealed record BlockdevSnapshotSync(
    string? Device, string? NodeName, string SnapshotFile, string? SnapshotNodeName, string? Format, NewImageMode? Mode);

public sealed record BlockdevSnapshotInternal(string Device, string Name);

public sealed record BlockdevSnapshotDeleteInternalArguments(string Device, string? Id, string? Name);

public sealed record BlockdevDelArguments(string NodeName);

public enum BlockdevDriver
{
    File,
    [JsonStringEnumMemberName("host_device")]
    HostDevice,
    Raw,
    Qcow2,
    Throttle,
}

public enum BlockdevDiscardOptions
{
    Ignore,
    Unmap,
}

public enum BlockdevAioOptions
{
    Threads,
}

public enum OnOffAuto
{
    Auto,
    On,
    Off,
}

public sealed record BlockdevCacheOptions(bool? Direct, bool? NoFlush);

[QapiUnion("driver")]
[QapiBranch("file", typeof(BlockdevOptionsFile))]
[QapiBranch("host_device", typeof(BlockdevOptionsFile))]
[QapiBranch("raw", typeof(BlockdevOptionsRaw))]
[QapiBranch("qcow2", typeof(BlockdevOptionsQcow2))]
[QapiBranch("throttle", typeof(BlockdevOptionsThrottle))]
public sealed record BlockdevOptions(
    BlockdevDriver Driver, string? NodeName, BlockdevDiscardOptions? Discard, BlockdevCacheOptions? Cache, bool? ReadOnly,
    bool? AutoReadOnly, BlockdevDetectZeroesOptions? DetectZeroes);

/// <summary>A node, or the name of one.</summary>
[QapiAlternate(typeof(BlockdevOptions), typeof(string))]
public sealed record BlockdevRef;

public sealed record BlockdevOptionsFile(string Filename, OnOffAuto? Locking, BlockdevAioOptions? Aio);

public sealed record BlockdevOptionsRaw(BlockdevRef File);

public sealed record BlockdevOptionsQcow2(
    BlockdevRef File, [property: JsonPropertyName("l2-cache-size")] long? L2CacheSize, long? RefcountCacheSize);

public sealed record BlockdevOptionsThrottle(string ThrottleGroup, BlockdevRef File);
