using System.Text.Json.Serialization;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Timers;

namespace Vmm.Emulation.Snapshots;

/// <summary>What a snapshot is of, and what its files hold: <c>manifest.json</c> (docs/state.md has all members).</summary>
/// <param name="Format">The version of the format of the folder.</param>
/// <param name="Product">The version of the program that wrote it; for people.</param>
/// <param name="Generation">The number in the names of its files; each save of the same tag has the next one.</param>
/// <param name="SavedAt">The host's time, UTC.</param>
/// <param name="Clock">The guest's system counter, in ticks of <see cref="VirtualClock.Frequency"/>.</param>
public sealed record SnapshotManifest(
    int Format,
    string Product,
    int Generation,
    DateTimeOffset SavedAt,
    ulong Clock,
    SavedMachine Machine,
    SavedCpu[] Cpus,
    SavedFile State,
    SavedRam Ram)
{
    /// <summary>The snapshot that has the blocks of RAM which are not in this one; null for one of its own.</summary>
    public SavedParent? Parent { get; init; }

    /// <summary>
    /// The disks that the guest could write, each of which has its snapshot in its image; null for none of them.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public SavedDisk[]? Disks { get; init; }

    /// <summary>The migration that wrote it to a file; null for a snapshot of a store.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public SavedMigration? Migration { get; init; }

    /// <summary>
    /// The format that is written. Format 1 had no unit <c>power-on</c>, its compressed blocks were in order and without gaps, and there
    /// was no parent. Format 3 is that of a snapshot with disks: who does not know them must not load it.
    /// </summary>
    public const int CurrentFormat = 3;

    /// <summary>The format of a snapshot without disks.</summary>
    public const int FormatWithoutDisks = 2;

    /// <summary>The CPUs of power-on.</summary>
    [JsonIgnore]
    public PowerOnSet PowerOn => new(Machine.EnabledCpus, Machine.DisabledCpus, Machine.OnlineCapable);

    /// <summary>Bytes that the snapshot takes, but for this manifest: holes of RAM take none.</summary>
    [JsonIgnore]
    public long StoredBytes => State.Length + Ram.Map.Length + Ram.Stored;

    /// <summary>The guest's time, from its power-on.</summary>
    [JsonIgnore]
    public TimeSpan GuestTime => GuestTimeAt(Clock);

    /// <summary>The guest's time at a value of its counter.</summary>
    public static TimeSpan GuestTimeAt(ulong clock) =>
        new((long)((UInt128)clock * (ulong)TimeSpan.TicksPerSecond / VirtualClock.Frequency % long.MaxValue));
}

/// <summary>What was saved. But for its CPUs at power-on, a machine that goes on from it must have it in common.</summary>
/// <param name="Board">The machine type.</param>
/// <param name="MemoryBytes">RAM.</param>
/// <param name="MemoryStart">Guest physical address of its first byte.</param>
/// <param name="Acpi">Whether there are ACPI tables and CPU hotplug.</param>
/// <param name="OnlineCapable">Whether cold-booted CPUs can leave (<c>-machine online-capable-cpus=on</c>).</param>
/// <param name="InstructionShift">2^N ns for each instruction (<c>-icount</c>); null for host time.</param>
/// <param name="Firmware">CRC-32C of the flash bank with the firmware; null without.</param>
/// <param name="CpuModel">For people: the model's name.</param>
/// <param name="Midr">MIDR_EL1 of the CPUs.</param>
/// <param name="PhysicalAddressBits">Of the CPUs.</param>
/// <param name="Features">What the CPUs have beyond Armv8.0-A, by name.</param>
/// <param name="EnabledCpus">How many CPUs are enabled at power-on.</param>
/// <param name="DisabledCpus">How many after them are disabled by the administrator at power-on.</param>
/// <param name="Sockets">With the others, how the possible CPUs are arranged: each count is per parent.</param>
public sealed record SavedMachine(
    string Board,
    ulong MemoryBytes,
    ulong MemoryStart,
    bool Acpi,
    bool OnlineCapable,
    int? InstructionShift,
    string? Firmware,
    string CpuModel,
    uint Midr,
    int PhysicalAddressBits,
    string[] Features,
    int EnabledCpus,
    int DisabledCpus,
    int Sockets,
    int Clusters,
    int Cores,
    int Threads)
{
    // More than one machine can have.
    private const ulong MostMemory = 1ul << 40;

    /// <summary>All possible CPUs; a damaged manifest may say anything.</summary>
    [JsonIgnore]
    public long PossibleCpus => (long)Sockets * Clusters * Cores * Threads;

    /// <summary>Whether a machine can be so at all.</summary>
    [JsonIgnore]
    public bool IsPossible => MemoryBytes is > 0 and <= MostMemory && MemoryBytes % Memory.GuestMemory.PageSize == 0
        && Sockets is > 0 and <= MachineConfig.MaxCpus && Clusters is > 0 and <= MachineConfig.MaxCpus
        && Cores is > 0 and <= MachineConfig.MaxCpus && Threads is > 0 and <= MachineConfig.MaxCpus
        && PossibleCpus <= MachineConfig.MaxCpus && Array.TrueForAll(Features, f => f != null);

    public static SavedMachine Of(MachineConfig config, GuestPhysicalAddress ram) => new(
        "virt", config.MemoryBytes, ram.Value, config.Acpi, config.ColdPluggedCpusOnlineCapable, config.InstructionShift,
        config.Firmware is { } firmware ? SnapshotFormat.Text(Crc32C.Of(firmware.Code.Contents.Span)) : null,
        config.Cpu.Name, config.Cpu.Midr, config.Cpu.PhysicalAddressBits, [.. FeaturesOf(config.Cpu)],
        config.EnabledCpus, config.DisabledCpus,
        config.Topology.Sockets, config.Topology.Clusters, config.Topology.Cores, config.Topology.Threads);

    private static IEnumerable<string> FeaturesOf(CpuModel model) =>
        Enum.GetValues<Feature>().Where(f => f != Feature.None && model.Has(f)).Select(f => f.ToString())
            .Concat(model.NamesOfOthers).Concat(model.NamesOfVectorLengths);

    /// <summary>
    /// Each thing in which a machine differs from the saved one, in words; empty when it can go on from its snapshot. The CPUs at power-on
    /// are none of them: the machine takes those of the saved one (<see cref="PowerOnUnit"/>).
    /// </summary>
    /// <param name="here">The machine.</param>
    public IReadOnlyList<string> DifferencesFrom(SavedMachine here)
    {
        var differences = new List<string>();
        void Compare<T>(string what, T saved, T other)
        {
            if (!EqualityComparer<T>.Default.Equals(saved, other))
            {
                differences.Add($"{what} {SnapshotFormat.Legible($"{saved}")} (here {other})");
            }
        }

        Compare("machine", Board, here.Board);
        Compare("RAM", SnapshotFormat.Size(MemoryBytes), SnapshotFormat.Size(here.MemoryBytes));
        Compare("RAM at", $"0x{MemoryStart:x}", $"0x{here.MemoryStart:x}");
        Compare("acpi", OnOff(Acpi), OnOff(here.Acpi));
        Compare("icount shift", Shift(InstructionShift), Shift(here.InstructionShift));
        Compare("firmware", Firmware ?? "none", here.Firmware ?? "none");
        if (Midr != here.Midr || PhysicalAddressBits != here.PhysicalAddressBits)
        {
            differences.Add($"CPU {SnapshotFormat.Legible(CpuModel)} (here {here.CpuModel})");
        }

        void List(string what, IEnumerable<string> features)
        {
            if (features.Any())
            {
                differences.Add($"{what} {SnapshotFormat.Legible(string.Join(' ', features))}");
            }
        }

        List("CPUs with", Features.Except(here.Features));
        List("CPUs without", here.Features.Except(Features));
        Compare("sockets", Sockets, here.Sockets);
        Compare("clusters", Clusters, here.Clusters);
        Compare("cores", Cores, here.Cores);
        Compare("threads", Threads, here.Threads);
        return differences;
    }

    private static string OnOff(bool value) => value ? "on" : "off";

    private static string Shift(int? value) => value == null ? "none" : $"{value}";
}

/// <summary>A possible CPU, for people and for tools: what goes on from it is in the state units.</summary>
/// <param name="Cpu">Its number.</param>
/// <param name="Id">Its name; empty for one that is not part of the machine.</param>
/// <param name="Enabled">Whether the guest may use it.</param>
public sealed record SavedCpu(int Cpu, string Id, bool Enabled);

/// <summary>The parent of a snapshot, in the same folder.</summary>
/// <param name="Tag">Its name.</param>
/// <param name="Crc32c">The checksum that its manifest ends with: a snapshot that took its place has another.</param>
public sealed record SavedParent(string Tag, string Crc32c);

/// <summary>A disk of a snapshot. In its image is an internal snapshot with the snapshot's name, and this time.</summary>
/// <param name="Name">What monitors call the disk.</param>
/// <param name="File">The image, for people and to tell whether it is still there; an absolute path.</param>
/// <param name="SavedAt">The time of the internal snapshot, UTC: no two disks have the same.</param>
public sealed record SavedDisk(string Name, string File, DateTimeOffset SavedAt);

/// <summary>The migration that a saved machine is part of.</summary>
/// <param name="Session">A number of this migration alone, as in the journal of its sender.</param>
/// <param name="Running">The guest ran, and is to run where it goes on.</param>
public sealed record SavedMigration(Guid Session, bool Running);

/// <summary>A file of a snapshot.</summary>
/// <param name="Length">In bytes.</param>
/// <param name="Crc32c">Its CRC-32C: eight hexadecimal digits.</param>
public sealed record SavedFile(long Length, string Crc32c);

/// <summary>The files of RAM (<see cref="RamImage"/>).</summary>
/// <param name="Length">Of the file with the bytes.</param>
/// <param name="Stored">How many of these bytes were written: the others are holes.</param>
/// <param name="Compression">Of the bytes.</param>
/// <param name="Map">The file with the map.</param>
public sealed record SavedRam(long Length, long Stored, RamCompression Compression, SavedFile Map);

/// <summary>How RAM is kept.</summary>
public enum RamCompression
{
    /// <summary>As it is, with holes where it is zero: it can be mapped.</summary>
    None,

    /// <summary>Each block that is not zero is a Zstandard frame (RFC 8878).</summary>
    Zstd,
}
