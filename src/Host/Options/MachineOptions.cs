using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Boot;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Devices.Pl031;

namespace Vmm.Host.Options;

/// <summary>
/// What the command line says about the machine. Each option is checked by itself when it is read; <see cref="ToConfig"/> checks what must
/// fit together.
/// </summary>
public sealed record MachineOptions
{
    // Of kernels and initial RAM disks, in bytes.
    private const ulong LargestFile = 1 << 30;

    /// <summary>Files as they were named; null for none.</summary>
    public string? Kernel { get; init; }

    public string? Initrd { get; init; }

    /// <summary>The kernel's command line.</summary>
    public string Append { get; init; } = "";

    /// <summary>The members of all <c>-smp</c>.</summary>
    public IReadOnlyDictionary<string, int> Smp { get; init; } = new Dictionary<string, int>();

    /// <summary>The size of RAM in bytes (<c>-m</c>); null where nothing was said.</summary>
    public ulong? Memory { get; init; }

    public CpuModel Cpu { get; init; } = CpuModel.Find("max")!;

    public MachineOption Machine { get; init; } = new();

    /// <summary>The engine that <c>-accel</c> asks for; null where nothing was said.</summary>
    public AcceleratorChoice? Accel { get; init; }

    /// <summary>Firmware (<c>-bios</c>); null for none.</summary>
    public string? Bios { get; init; }

    /// <summary>Drives (<see cref="FirmwareOption.DriveSyntax"/>).</summary>
    public IReadOnlyList<string> Drives { get; init; } = [];

    /// <summary>The real time clock.</summary>
    public RtcConfig Rtc { get; init; } = RtcOption.Default;

    /// <summary>An instruction takes 2^N ns of guest time (<c>-icount</c>); null where the host's time counts.</summary>
    public int? InstructionShift { get; init; }

    /// <summary>What the VM is called (<c>-name</c>).</summary>
    public string Name { get; init; } = "";

    public Guid Uuid { get; init; }

    /// <summary>CPUs that are plugged from power-on.</summary>
    public IReadOnlyList<CpuDeviceOption> Devices { get; init; } = [];

    /// <summary>Properties of CPUs that are asked for.</summary>
    public IReadOnlyList<GlobalOption> Globals { get; init; } = [];

    /// <summary>Opens what the firmware is to keep: whoever asks for the configuration disposes the files that it names.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public MachineConfig ToConfig()
    {
        SmpOption smp = SmpOption.Of(Smp);
        ulong memory = Memory ?? MemoryOption.Default;
        foreach (GlobalOption global in Globals)
        {
            global.RequireOf(Cpu);
        }

        Machine.RequireRoom(memory, smp.Topology.Count);
        Machine.RequireCpu(Cpu);
        if (Machine.IsEmpty && (Kernel ?? Initrd ?? Bios) != null)
        {
            throw new OptionException("-machine none has no guest: give -machine virt to boot one");
        }

        AcceleratorOption accelerator = Accelerator;
        if (InstructionShift != null && (smp.Topology.Count > 1 || accelerator.Accelerator != Emulation.Boards.Accelerator.Interpreter))
        {
            throw new OptionException("-icount counts the instructions of one CPU that is interpreted: give -smp 1 and -accel interp");
        }

        FirmwareConfig? firmware = FirmwareOption.Open(Bios, Drives);
        if (Kernel == null && firmware == null && !Machine.IsEmpty)
        {
            throw new OptionException("no kernel: give an arm64 Image or a bare-metal program with -kernel, or firmware with -bios");
        }

        if (Kernel == null && (Initrd != null || Append.Length > 0))
        {
            throw new OptionException($"{(Initrd != null ? "-initrd" : "-append")} only allowed with -kernel option");
        }

        BootFile kernel = Machine.IsEmpty ? EmptyMachine.Program : OpenKernel(memory, firmware != null);
        BootFile initrd = Initrd == null ? BootFile.Empty : UserFile.OpenBootFile("initrd", Initrd, Largest(memory));
        var boot = new BootConfig(kernel, initrd, Append);
        var config = new MachineConfig(Cpu, smp.Cpus, smp.Topology, memory, boot)
        {
            Firmware = firmware,

            // A program that is not Linux finds the machine described by its device tree alone.
            Acpi = Machine.Acpi && (firmware != null || Arm64Image.IsImage(kernel.ReadHead().Span)),
            DtbRandomness = Machine.DtbRandomness,
            Rtc = Rtc,
            InstructionShift = InstructionShift,
            Name = Name,
            Uuid = Uuid,
            DisabledCpus = smp.DisabledCpus,
            ColdPluggedCpusOnlineCapable = Machine.OnlineCapable,
            Accelerator = accelerator.Accelerator,
            TranslationBytes = accelerator.TranslationBytes,
            PerfMap = accelerator.PerfMap,
            DualMapping = accelerator.DualMapping,
        };
        config = config with { PluggedCpus = CpuDeviceOption.Place(Devices, config) };
        try
        {
            using var board = new VirtBoard(config);
            BootPlan.Make(board);
        }
        catch (Exception e) when (e is InvalidDataException or InsufficientMemoryException)
        {
            throw new OptionException(e.Message);
        }

        return config;
    }

    /// <summary>The engine: of <c>-accel</c>, or of <c>-machine accel=</c>.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public AcceleratorOption Accelerator => Machine.Accel != null && Accel != null
        ? throw new OptionException("The -accel and \"-machine accel=\" options are incompatible")
        : (Machine.Accel ?? Accel ?? AcceleratorChoice.Fastest).Engine;

    private BootFile OpenKernel(ulong memory, bool forFirmware)
    {
        if (Kernel == null)
        {
            return BootFile.Empty;
        }

        try
        {
            return KernelFile.Unpack(UserFile.OpenBootFile("kernel", Kernel, Largest(memory)), forFirmware);
        }
        catch (InvalidDataException e)
        {
            throw new OptionException(e.Message);
        }
    }

    private static long Largest(ulong memory) => (long)Math.Min(memory, LargestFile);
}
