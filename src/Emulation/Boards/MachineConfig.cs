using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Boot;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Jit;
using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Devices.Pl031;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Net;
using Vmm.Emulation.Tracing;

namespace Vmm.Emulation.Boards;

/// <summary>The configuration of a machine. Its maker has checked it, so that <see cref="VirtMachine"/> can rely on it.</summary>
/// <param name="Cpu">The model of every CPU.</param>
/// <param name="EnabledCpus">CPUs 0 … EnabledCpus − 1 are enabled at power-on.</param>
/// <param name="Topology">The possible CPUs, at least <paramref name="EnabledCpus"/>.</param>
/// <param name="MemoryBytes">RAM size, a multiple of 4 KiB.</param>
/// <param name="Boot">The files to boot from.</param>
public sealed record MachineConfig(CpuModel Cpu, int EnabledCpus, CpuTopology Topology, ulong MemoryBytes, BootConfig Boot)
{
    /// <summary>The largest number of possible CPUs: the limit of QEMU's <c>virt</c> with a GICv3.</summary>
    public const int MaxCpus = 512;

    /// <summary>The machine's trace; null for none. Its maker disposes it, after the machine.</summary>
    public TraceLog? Trace { get; init; }

    /// <summary>The engine that executes instructions.</summary>
    public Accelerator Accelerator { get; init; } = Accelerators.Default;

    /// <summary>The room for translated code in bytes (<c>--accel jit,tb-size=MiB</c>). The host provides it as it is used.</summary>
    public long TranslationBytes { get; init; } = Accelerators.DefaultTranslationBytes;

    /// <summary>Whether translated code is named for Linux's perf, in /tmp/perf-PID.map (<c>--accel jit,perfmap=on</c>).</summary>
    public bool PerfMap { get; init; }

    /// <summary>
    /// Whether translated code is written at other addresses than it is executed at, even if the host allows memory that is both writable
    /// and executable (<c>--accel jit,dual=on</c>).
    /// </summary>
    public bool DualMapping { get; init; }

    /// <summary>
    /// The shift N by which guest time counts instructions of 2^N ns (<c>-icount shift=N</c>). It requires one possible CPU and the
    /// interpreter. Null for host time.
    /// </summary>
    public int? InstructionShift { get; init; }

    public int PossibleCpus => Topology.Count;

    /// <summary>
    /// The number of CPUs after the enabled ones that are present at power-on and administratively disabled; <c>device_set</c> enables
    /// them. The CPUs after them can be plugged.
    /// </summary>
    public int DisabledCpus { get; init; }

    /// <summary>The CPUs after those that are plugged from power-on (<c>-device</c>).</summary>
    public IReadOnlyList<PluggedCpu> PluggedCpus { get; init; } = [];

    /// <summary>Firmware in flash, which boots the kernel if there is one; null to enter the kernel directly.</summary>
    public FirmwareConfig? Firmware { get; init; }

    /// <summary>What firmware is told about its boot (<c>-boot</c>).</summary>
    public BootChoice BootChoice { get; init; } = new();

    /// <summary>The name of the VM (<c>-name</c>); empty for none.</summary>
    public string Name { get; init; } = "";

    /// <summary>The VM's UUID (<c>-uuid</c>); zeros for none.</summary>
    public Guid Uuid { get; init; }

    /// <summary>The device with the VM generation ID (<c>-device vmgenid</c>), which requires ACPI; null for none.</summary>
    public GenerationIdConfig? GenerationId { get; init; }

    /// <summary>The virtio devices on the MMIO transport, in the order of the command line.</summary>
    public IReadOnlyList<VirtioConfig> VirtioMmio { get; init; } = [];

    /// <summary>The network backends, which devices name; their maker disposes them, after the machine.</summary>
    public NetdevTable Netdevs { get; init; } = new();

    /// <summary>What takes the messages of PCI devices (<c>-machine msi=</c>).</summary>
    public MsiController Msi { get; init; } = MsiController.Its;

    /// <summary>The PCI devices, in the order of the command line: a bridge before those behind it.</summary>
    public IReadOnlyList<PciDeviceConfig> PciDevices { get; init; } = [];

    /// <summary>The virtio devices on either transport.</summary>
    public IEnumerable<VirtioConfig> VirtioDevices =>
        VirtioMmio.Concat(PciDevices.OfType<VirtioPciConfig>().Select(device => device.Device));

    /// <summary>The windows of the PCI host bridge.</summary>
    public PciLayout Pci { get; init; } = new(HighEcam: true, HighMemory: true);

    /// <summary>True: ACPI tables and the EFI hand-off (<c>-machine acpi=on</c>). False: a full device tree.</summary>
    public bool Acpi { get; init; } = true;

    /// <summary>
    /// Whether /chosen has random seeds for the kernel, new at each reset. They are left out for boots that repeat exactly (<c>-machine
    /// dtb-randomness=off</c>).
    /// </summary>
    public bool DtbRandomness { get; init; } = true;

    /// <summary>The time of the real time clock (<c>-rtc</c>).</summary>
    public RtcConfig Rtc { get; init; } = new(null, RtcClock.Host);

    /// <summary>
    /// False: the MADT has each CPU of power-on as Enabled, and none of them can be unplugged (V5 of the series). True: only the boot CPU
    /// is Enabled, and all others are online-capable (<c>-machine online-capable-cpus=on</c>, after <c>has_online_capable_cpus</c> of RFC
    /// V6).
    /// </summary>
    public bool ColdPluggedCpusOnlineCapable { get; init; }
}

/// <summary>A plugged CPU, with the name that the user gave it.</summary>
public sealed record PluggedCpu(string Id, CpuIndex Cpu);

/// <summary>Where the windows of the PCI host bridge are.</summary>
/// <param name="HighEcam">
/// Whether configuration space is above 4 GiB and has room for 256 buses, instead of 16 (<c>-machine highmem-ecam=</c>).
/// </param>
/// <param name="HighMemory">Whether there is a window of memory above 4 GiB (<c>-machine highmem-mmio=</c>).</param>
public sealed record PciLayout(bool HighEcam, bool HighMemory);

/// <summary>What firmware is told about its boot.</summary>
/// <param name="Menu">It shows a menu before it boots (<c>menu=on</c>).</param>
/// <param name="SplashTime">For so many milliseconds (<c>splash-time=</c>); null for as long as it likes.</param>
/// <param name="RebootTimeout">It restarts so many milliseconds after a boot that failed (<c>reboot-timeout=</c>); -1 for never.</param>
/// <param name="Strict">Nothing is booted that has no <c>bootindex=</c> (<c>strict=on</c>).</param>
public sealed record BootChoice(bool Menu = false, ushort? SplashTime = null, int RebootTimeout = -1, bool Strict = false);

/// <summary>The VM generation ID.</summary>
/// <param name="Given">The number that a person has chosen (<c>guid=UUID</c>); null for a random one (<c>guid=auto</c>).</param>
public sealed record GenerationIdConfig(Guid? Given);

/// <summary>The engines that execute instructions.</summary>
public enum Accelerator
{
    /// <summary>Executes predecoded instructions, each by a handler. Runs on any host.</summary>
    Interpreter,

    /// <summary>Translates the guest's code to code of the host. Runs on x86-64.</summary>
    Jit,

    /// <summary>
    /// Runs both engines side by side and compares them all the time, to find faults in either. Runs on x86-64, many times slower.
    /// </summary>
    Lockstep,
}

/// <summary>The abilities of this host.</summary>
public static class Accelerators
{
    public static bool CanTranslate => HostBackends.IsSupported;

    /// <summary>Debian's boot to its login needs 150 MiB.</summary>
    public const long DefaultTranslationBytes = 256 << 20;

    public static long SmallestTranslationBytes => TranslationCache.SmallestCapacity;

    /// <summary>The fastest engine of this host.</summary>
    public static Accelerator Default => CanTranslate ? Accelerator.Jit : Accelerator.Interpreter;
}

/// <summary>The two banks of flash.</summary>
/// <param name="Code">The firmware. Execution starts at its first byte.</param>
/// <param name="Variables">The firmware's variables.</param>
public sealed record FirmwareConfig(FlashImage Code, FlashImage Variables);

/// <summary>The contents of a bank of flash at power-on.</summary>
/// <param name="Contents">At most <see cref="BoardMap.FlashBankSize"/> bytes. The rest of the bank is zeros.</param>
/// <param name="ReadOnly">Whether the guest cannot change it.</param>
/// <param name="File">
/// The file that keeps changes, of the size of the bank; null for none. The maker of the configuration disposes it, after the machine.
/// </param>
public sealed record FlashImage(ReadOnlyMemory<byte> Contents, bool ReadOnly, SafeFileHandle? File = null);

/// <summary>The files that are loaded into RAM at power-on and at each reset, or offered to the firmware.</summary>
/// <param name="Kernel">An arm64 <c>Image</c>, an ELF file or a flat binary; empty for none, which firmware can do without.</param>
/// <param name="Initrd">An initial RAM disk; empty for none.</param>
/// <param name="CommandLine">The kernel command line.</param>
public sealed record BootConfig(BootFile? Kernel, BootFile? Initrd, string CommandLine)
{
    public BootFile Kernel { get; } = Kernel ?? BootFile.Empty;

    public BootFile Initrd { get; } = Initrd ?? BootFile.Empty;
}
