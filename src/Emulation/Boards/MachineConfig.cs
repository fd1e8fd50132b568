using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Boot;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Jit;
using Vmm.Emulation.Devices.Pl031;
using Vmm.Emulation.Tracing;

namespace Vmm.Emulation.Boards;

/// <summary>What a machine is made of; checked by whoever makes it, so that <see cref="VirtMachine"/> can rely on it.</summary>
/// <param name="Cpu">The model of every CPU.</param>
/// <param name="EnabledCpus">CPUs 0 … EnabledCpus − 1 are enabled at power-on.</param>
/// <param name="Topology">The possible CPUs, at least <paramref name="EnabledCpus"/>.</param>
/// <param name="MemoryBytes">RAM size, a multiple of 4 KiB.</param>
/// <param name="Boot">What to boot.</param>
public sealed record MachineConfig(CpuModel Cpu, int EnabledCpus, CpuTopology Topology, ulong MemoryBytes, BootConfig Boot)
{
    /// <summary>The most CPUs that can be possible: QEMU's limit for <c>virt</c> with GICv3.</summary>
    public const int MaxCpus = 512;

    /// <summary>The machine's trace; null for none. Its maker disposes it, after the machine.</summary>
    public TraceLog? Trace { get; init; }

    /// <summary>How instructions are executed.</summary>
    public Accelerator Accelerator { get; init; } = Accelerators.Default;

    /// <summary>Room for translated code, in bytes (<c>--accel jit,tb-size=MiB</c>); taken from the host as it is used.</summary>
    public long TranslationBytes { get; init; } = Accelerators.DefaultTranslationBytes;

    /// <summary>Names translated code for Linux's perf, in /tmp/perf-PID.map (<c>--accel jit,perfmap=on</c>).</summary>
    public bool PerfMap { get; init; }

    /// <summary>
    /// Translated code is written at other addresses than it is executed at (<c>--accel jit,dual=on</c>), also where the host allows memory
    /// to be both.
    /// </summary>
    public bool DualMapping { get; init; }

    /// <summary>
    /// Guest time is counted in instructions of 2^N ns (<c>-icount shift=N</c>): for one possible CPU, interpreted. Null for host time.
    /// </summary>
    public int? InstructionShift { get; init; }

    public int PossibleCpus => Topology.Count;

    /// <summary>
    /// So many CPUs after the enabled ones are administratively disabled at power-on: present, and enabled by <c>device_set</c>. The rest
    /// is to be plugged.
    /// </summary>
    public int DisabledCpus { get; init; }

    /// <summary>CPUs of the others that are plugged from power-on (<c>-device</c>).</summary>
    public IReadOnlyList<PluggedCpu> PluggedCpus { get; init; } = [];

    /// <summary>Firmware in flash, which boots the kernel if there is one; null to enter the kernel directly.</summary>
    public FirmwareConfig? Firmware { get; init; }

    /// <summary>What people call the VM (<c>-name</c>); empty for no name.</summary>
    public string Name { get; init; } = "";

    /// <summary>The VM's UUID (<c>-uuid</c>); zeros for none.</summary>
    public Guid Uuid { get; init; }

    /// <summary>ACPI tables and the EFI hand-off (<c>-machine acpi=on</c>), or a full device tree.</summary>
    public bool Acpi { get; init; } = true;

    /// <summary>
    /// Random seeds for the kernel in /chosen, new at each reset; false for boots that repeat (<c>-machine dtb-randomness=off</c>).
    /// </summary>
    public bool DtbRandomness { get; init; } = true;

    /// <summary>What the real time clock shows (<c>-rtc</c>).</summary>
    public RtcConfig Rtc { get; init; } = new(null, RtcClock.Host);

    /// <summary>
    /// False: every CPU enabled at power-on is Enabled in the MADT and can never be unplugged (V5 of the series). True: only the
    /// boot CPU is, and all others are online-capable (<c>-machine online-capable-cpus=on</c>, after <c>has_online_capable_cpus</c> of RFC
    /// V6).
    /// </summary>
    public bool ColdPluggedCpusOnlineCapable { get; init; }
}

/// <summary>A CPU that is plugged, under a name of the user's.</summary>
public sealed record PluggedCpu(string Id, CpuIndex Cpu);

/// <summary>The engines.</summary>
public enum Accelerator
{
    /// <summary>Predecoded instructions, one handler each: any host.</summary>
    Interpreter,

    /// <summary>Translated to code of the host: x86-64.</summary>
    Jit,

    /// <summary>Both side by side, compared all the time: to look for faults in either. x86-64; many times slower.</summary>
    Lockstep,
}

/// <summary>What this host can do.</summary>
public static class Accelerators
{
    public static bool CanTranslate => HostBackends.IsSupported;

    public const long DefaultTranslationBytes = 128 << 20;

    public static long SmallestTranslationBytes => TranslationCache.SmallestCapacity;

    /// <summary>The fastest.</summary>
    public static Accelerator Default => CanTranslate ? Accelerator.Jit : Accelerator.Interpreter;
}

/// <summary>The two banks of flash.</summary>
/// <param name="Code">The firmware: executed from its first byte.</param>
/// <param name="Variables">The firmware's variables.</param>
public sealed record FirmwareConfig(FlashImage Code, FlashImage Variables);

/// <summary>What a bank of flash holds at power-on.</summary>
/// <param name="Contents">At most <see cref="BoardMap.FlashBankSize"/> bytes; what follows is zeros.</param>
/// <param name="ReadOnly">The guest cannot change it.</param>
/// <param name="File">
/// The file that keeps changes. It has the size of the bank; null for none. Its maker disposes it, after the machine.
/// </param>
public sealed record FlashImage(ReadOnlyMemory<byte> Contents, bool ReadOnly, SafeFileHandle? File = null);

/// <summary>What is loaded into RAM at power-on and again at each reset, or offered to the firmware.</summary>
/// <param name="Kernel">An arm64 <c>Image</c>, an ELF file or a flat binary; empty for none, which firmware can do without.</param>
/// <param name="Initrd">An initial RAM disk; empty for none.</param>
/// <param name="CommandLine">The kernel command line.</param>
public sealed record BootConfig(BootFile? Kernel, BootFile? Initrd, string CommandLine)
{
    public BootFile Kernel { get; } = Kernel ?? BootFile.Empty;

    public BootFile Initrd { get; } = Initrd ?? BootFile.Empty;
}
