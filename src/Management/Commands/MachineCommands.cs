using System.Text.Json.Serialization;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

public sealed record VersionTriple(long Major, long Minor, long Micro);

/// <param name="Qemu">The version of QEMU whose monitor this one is compatible with. Programs choose commands by it.</param>
/// <param name="Package">The name and version of this program.</param>
public sealed record VersionInfo(VersionTriple Qemu, string Package);

public sealed record NameInfo(string? Name);

public sealed record UuidInfo([property: JsonPropertyName("UUID")] string Uuid);

public sealed record GuidInfo(string Guid);

public sealed record KvmInfo(bool Enabled, bool Present);

public sealed record TargetInfo(SysEmuTarget Arch);

public sealed record QueryMachinesArguments([property: QapiFeature("unstable")] bool? CompatProps);

public sealed record CompatProperty(string QomType, string Property, string Value);

public sealed record MachineInfo(
    string Name,
    string? Alias,
    bool? IsDefault,
    long CpuMax,
    bool HotpluggableCpus,
    bool NumaMemSupported,
    bool Deprecated,
    string? DefaultCpuType,
    string? DefaultRamId,
    bool Acpi,
    [property: QapiFeature("unstable")] CompatProperty[]? CompatProps);

public sealed record CurrentMachineParams(bool WakeupSuspendSupport);

public sealed record MemoryInfo(long BaseMemory, long? PluggedMemory);

public sealed record GicCapability(long Version, bool Emulated, bool Kernel);

public enum ImageFormat
{
    Ppm,
    Png,
}

public sealed record ScreendumpArguments(string Filename, string? Device, long? Head, ImageFormat? Format);

/// <summary>QEMU's target architectures. The machine is always aarch64.</summary>
public enum SysEmuTarget
{
    Aarch64,
    Alpha,
    Arm,
    Avr,
    Hppa,
    I386,
    Loongarch64,
    M68k,
    Microblaze,
    Microblazeel,
    Mips,
    Mips64,
    Mips64el,
    Mipsel,
    Or1k,
    Ppc,
    Ppc64,
    Riscv32,
    Riscv64,
    Rx,
    S390x,
    Sh4,
    Sh4eb,
    Sparc,
    Sparc64,
    Tricore,
    [JsonStringEnumMemberName("x86_64")]
    X8664,
    Xtensa,
    Xtensaeb,
}

/// <summary>Commands that describe the machine.</summary>
public sealed class MachineCommands(MonitorVm vm)
{
    /// <summary>The version of QEMU that commands, their shapes and their messages are taken from.</summary>
    public static readonly VersionTriple Qemu = new(10, 0, 2);

    /// <summary>The name and version of this program.</summary>
    public static readonly string Package = $"vmm-{typeof(MachineCommands).Assembly.GetName().Version!.ToString(3)}";

    public static VersionInfo Version { get; } = new(Qemu, Package);

    public void Register(QapiCommandTable table)
    {
        table.AddQuery("query-version", () => Task.FromResult(Version));
        table.AddQuery("query-name", () => Task.FromResult(new NameInfo(vm.Config.Name.Length == 0 ? null : vm.Config.Name)));
        table.AddQuery("query-uuid", () => Task.FromResult(new UuidInfo(vm.Config.Uuid.ToString())));
        table.AddQuery("query-vm-generation-id", async () => new GuidInfo(await GenerationId().ConfigureAwait(false)));
        table.AddQuery("query-kvm", () => Task.FromResult(new KvmInfo(Enabled: false, Present: false)));
        table.AddQuery("query-target", () => Task.FromResult(new TargetInfo(SysEmuTarget.Aarch64)));
        table.AddQuery<QueryMachinesArguments,
        MachineInfo[]>("query-machines", arguments => Task.FromResult<MachineInfo[]>([Machine(arguments.CompatProps == true)]));
        table.AddQuery("query-current-machine", () => Task.FromResult(new CurrentMachineParams(WakeupSuspendSupport: false)));
        table.AddQuery("query-memory-size-summary", () => Task.FromResult(MemorySummary));
        table.AddQuery("query-gic-capabilities", () =>
            Task.FromResult<GicCapability[]>([new GicCapability(3, Emulated: true, Kernel: false)]));
        table.Add<ScreendumpArguments>("screendump", _ => throw new QapiException("There is no console to take a screendump from"));
    }

    /// <summary>The VM generation ID.</summary>
    /// <exception cref="QapiException">The machine has none.</exception>
    public async Task<string> GenerationId()
    {
        string id = (await vm.Ask<MachineReport>(new GetMachineReport(ReportSubject.GenerationId, 0)).ConfigureAwait(false)).Text;
        return id.Length > 0 ? id : throw new QapiException("VM Generation ID device not found");
    }

    public MemoryInfo MemorySummary => new((long)vm.Config.MemoryBytes, 0);

    private static MachineInfo Machine(bool compatProps) => new(
        "virt", null, null, MachineConfig.MaxCpus, HotpluggableCpus: true, NumaMemSupported: false, Deprecated: false,
        $"max{CpuCommands.Suffix}", "mach-virt.ram", Acpi: true,
        compatProps ? [] : null);
}
