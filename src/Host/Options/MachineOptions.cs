using Vmm.Emulation.Boards;
using Vmm.Emulation.Boot;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Devices.Pl031;

namespace Vmm.Host.Options;

/// <summary>
/// What the command line says about the machine, as text; <see cref="ToConfig"/> checks all of it. Where an option can be given several times, its values
/// follow each other with commas; where it is not given the text is empty.
/// </summary>
/// <param name="Accel">Engines to try in their order, each as <see cref="AcceleratorOption.Syntax"/> has it, in lines; null for the fastest.</param>
public sealed record MachineOptions(string? Kernel, string? Initrd, string Append, string Smp, string Memory, string Cpu, string Machine, string? Accel = null)
{
    // Of kernels and initial RAM disks, in bytes.
    private const ulong LargestFile = 1 << 30;

    /// <summary>Firmware (<c>-bios</c>); null for none.</summary>
    public string? Bios { get; init; }

    /// <summary>Drives (<see cref="FirmwareOption.DriveSyntax"/>).</summary>
    public IReadOnlyList<string> Drives { get; init; } = [];

    /// <summary>The real time clock (<see cref="RtcOption.Syntax"/>); empty for the host's time.</summary>
    public string Rtc { get; init; } = "";

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
        SmpOption smp = SmpOption.Parse(Smp.Length == 0 ? SmpOption.Default : Smp);
        ulong memory = MemoryOption.Parse(Memory.Length == 0 ? MemoryOption.Default : Memory);
        CpuModel model = CpuOption.Parse(Cpu);
        foreach (GlobalOption global in Globals)
        {
            global.RequireOf(model);
        }

        MachineOption machine = MachineOption.Parse(Machine);
        machine.RequireRoom(memory, smp.Topology.Count);
        machine.RequireCpu(Cpu);
        if (machine.IsEmpty && (Kernel ?? Initrd ?? Bios) != null)
        {
            throw new OptionException("-machine none has no guest: give -machine virt to boot one");
        }

        AcceleratorOption accelerator = ChooseAccelerator();
        RtcConfig rtc = RtcOption.Parse(Rtc);
        FirmwareConfig? firmware = FirmwareOption.Open(Bios, Drives);
        if (Kernel == null && firmware == null && !machine.IsEmpty)
        {
            throw new OptionException("no kernel: give an arm64 Image or a bare-metal program with -kernel, or firmware with -bios");
        }

        if (Kernel == null && (Initrd != null || Append.Length > 0))
        {
            throw new OptionException($"{(Initrd != null ? "-initrd" : "-append")} only allowed with -kernel option");
        }

        BootFile kernel = machine.IsEmpty ? EmptyMachine.Program : OpenKernel(memory, firmware != null);
        BootFile initrd = Initrd == null ? BootFile.Empty : UserFile.OpenBootFile("initrd", Initrd, Largest(memory));
        var boot = new BootConfig(kernel, initrd, Append);
        var config = new MachineConfig(model, smp.Cpus, smp.Topology, memory, boot)
        {
            Firmware = firmware,

            // A program that is not Linux finds the machine described by its device tree alone.
            Acpi = machine.Acpi && (firmware != null || Arm64Image.IsImage(kernel.ReadHead().Span)),
            DtbRandomness = machine.DtbRandomness,
            Rtc = rtc,
            Name = Name,
            Uuid = Uuid,
            DisabledCpus = smp.DisabledCpus,
            ColdPluggedCpusOnlineCapable = machine.OnlineCapable,
            Accelerator = accelerator.Accelerator,
            TranslationBytes = accelerator.TranslationBytes,
            PerfMap = accelerator.PerfMap,
            DualMapping = accelerator.DualMapping,
        };
        config = config with { PluggedCpus = CpuDeviceOption.Place(Devices, config) };
        try
        {
            BootPlan.Make(config);
        }
        catch (InvalidDataException e)
        {
            throw new OptionException(e.Message);
        }

        return config;
    }

    /// <summary>The engine: of <c>-accel</c>, or of <c>-machine accel=</c>.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public AcceleratorOption ChooseAccelerator()
    {
        string? ofMachine = MachineOption.Parse(Machine).Accel;
        return ofMachine != null && Accel != null
            ? throw new OptionException("The -accel and \"-machine accel=\" options are incompatible")
            : AcceleratorOption.Choose(ofMachine ?? Accel);
    }

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
