using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>The value of <c>-machine [type=]virt[,property=value…]</c>, checked.</summary>
public sealed record MachineOption
{
    public const string Syntax = "[type=]virt[,property=value[,...]]";

    /// <summary>The text of <c>-machine help</c>.</summary>
    public const string Describe = $"""
        Supported machines are:
        none                 empty machine
        virt                 QEMU's Arm Virtual Machine (alias of {Version}) (default)
        {Version}            QEMU's Arm Virtual Machine
        """;

    private const string Version = "virt-10.0";
    private const string None = "none";

    // The number of redistributors that have room below 4 GiB.
    private const int LowRedistributors = VirtMap.LowRedistributors;
    private const ulong FourGibibytes = 4ul << 30;

    public bool Acpi { get; private init; } = true;

    public bool DtbRandomness { get; private init; } = true;

    /// <summary>
    /// Whether the MADT calls the CPUs of power-on other than the first online-capable instead of Enabled, so that they can leave.
    /// </summary>
    public bool OnlineCapable { get; private init; }

    /// <summary>The engine; null if the option does not name one.</summary>
    public AcceleratorChoice? Accel { get; private init; }

    /// <summary>The id of the object that describes RAM; null if the option does not name one.</summary>
    public string? MemoryBackend { get; private init; }

    /// <summary>Whether the machine has no guest, for programs that only ask a monitor (<c>-machine none</c>).</summary>
    public bool IsEmpty { get; private init; }

    /// <summary>The file that the device tree is written to, in place of a run; null for none.</summary>
    public string? TreeFile { get; private init; }

    /// <summary>What takes the messages of PCI devices.</summary>
    public MsiController Msi { get; private init; } = MsiController.Its;

    /// <summary>Whether RAM has tags (FEAT_MTE3).</summary>
    public bool MemoryTags { get; private init; }

    private bool HostGic { get; init; }

    private bool Highmem { get; init; } = true;

    private bool HighmemRedists { get; init; } = true;

    private bool HighmemEcam { get; init; } = true;

    private bool HighmemMmio { get; init; } = true;

    /// <summary>Where the windows of the PCI host bridge are.</summary>
    public PciLayout Pci => new(HighEcam: Highmem && HighmemEcam, HighMemory: Highmem && HighmemMmio);

    /// <summary>A property, with the function that sets it.</summary>
    private sealed record Property(string Name, string Syntax, string Help, Func<MachineOption, string?, MachineOption> Apply);

    private static readonly Property[] s_properties =
    [
        new("accel", "NAME[:NAME...]", "engines to try, in this order (see -accel help)", (o, v) =>
            o with { Accel = AcceleratorChoice.None.Or(v ?? "") }),
        new("acpi", "on|off|auto", "ACPI tables, and with them CPU hotplug; off: a device tree", (o, v) =>
            o with { Acpi = v == "auto" || Switch("acpi", v) }),
        new("dumpdtb", "FILE", "write the device tree to a file, and end", (o, v) => o with
        {
            TreeFile = v is { Length: > 0 } ? v : throw new OptionException("dumpdtb= expects the name of a file"),
        }),
        new("dtb-randomness", "on|off", "seeds for the kernel's random numbers; off for boots that repeat", (o, v) =>
            o with { DtbRandomness = Switch("dtb-randomness", v) }),
        new("dtb-kaslr-seed", "on|off", "the same", (o, v) => o with { DtbRandomness = Switch("dtb-kaslr-seed", v) }),
        new("gic-version", "3|max|host", "version of the interrupt controller, 3 in each case; host takes -cpu host", (o, v) =>
            v is "3" or "max" or "host"
            ? o with { HostGic = v == "host" }
            : throw new OptionException($"gic-version={v} is not supported: virt has a GICv3 (gic-version=3)")),
        new("highmem", "on|off", "use of addresses above 4 GiB", (o, v) => o with { Highmem = Switch("highmem", v) }),
        new("highmem-redists", "on|off", "redistributors above 4 GiB, for more than 123 CPUs", (o, v) =>
            o with { HighmemRedists = Switch("highmem-redists", v) }),
        new("highmem-ecam", "on|off", "PCI configuration space above 4 GiB, with room for 256 buses instead of 16", (o, v) =>
            o with { HighmemEcam = Switch("highmem-ecam", v) }),
        new("highmem-mmio", "on|off", "a window of PCI memory above 4 GiB", (o, v) => o with { HighmemMmio = Switch("highmem-mmio", v) }),
        new("its", "on|off", "an ITS, which takes messages of PCI devices; off: they have their four interrupts alone", (o, v) =>
            o with { Msi = Switch("its", v) ? MsiController.Its : MsiController.None }),
        new("msi", "auto|its|gicv2m|none", "what takes messages of PCI devices: auto is its; gicv2m has 64 interrupts for them", (o, v) =>
            o with
            {
                Msi = v switch
                {
                    "auto" or "its" => MsiController.Its,
                    "gicv2m" => MsiController.GicV2m,
                    "none" => MsiController.None,
                    _ => throw new OptionException($"msi={v} is not one of auto, its, gicv2m and none"),
                },
            }),
        new("mte", "on|off", "tags in RAM (memory tagging), on CPUs that have it: max", (o, v) =>
            o with { MemoryTags = Switch("mte", v) }),
        new("memory-backend", "ID", "an -object of RAM", (o, v) => o with { MemoryBackend = v ?? "" }),
        new("online-capable-cpus", "on|off",
            "CPUs of power-on but the first can be unplugged and disabled; Linux 7.2 and later then boots with the first alone, and user "
                + "space brings up the others", (o, v) => o with { OnlineCapable = Switch("online-capable-cpus", v) }),

        // Properties about parts that the machine does not have. The value that changes nothing is accepted.
        Only("virtualization", "off", "the CPUs have no EL2"),
        Only("secure", "off", "the CPUs have no EL3"),
        Only("ras", "off", "memory errors are not reported"),
        Only("iommu", "none", "there is no SMMU"),
        Only("usb", "off", "there is no USB"),
        Only("mem-merge", "off", "pages are not merged"),
        Only("dump-guest-core", "on", "guest memory is part of a core dump"),
        Only("kernel-irqchip", "off", "the interrupt controller is emulated"),
        Only("aux-ram-share", "off", "memory is private"),
        Only("default-bus-bypass-iommu", "off", "there is no SMMU"),
        Idle("graphics", "there are no graphics"),
        Idle("compact-highmem", "there are no high devices to lay out"),
        Idle("suppress-vmdesc", "there is no migration"),
    ];

    // Properties of QEMU's machine that are refused, with the reason.
    private static readonly (string Name, string Reason)[] s_refused =
    [
        ("kernel", "give it as -kernel"), ("initrd", "give it as -initrd"), ("append", "give it as -append"),
        ("firmware", "give it as -bios"),
        ("smp", "give it as -smp"), ("memory", "give it as -m"), ("boot", "give it as -boot"), ("dtb", "the machine describes itself"),
        ("dt-compatible", "the machine describes itself"), ("phandle-start", "the machine describes itself"),
        ("shim", "kernels start without one"),
        ("memory-encryption", "memory is not encrypted"), ("confidential-guest-support", "memory is not encrypted"),
        ("highmem-mmio-size", "the window has 512G"), ("smp-cache", "caches are not described"), ("x-oem-id", "ACPI tables have their own"),
        ("x-oem-table-id", "ACPI tables have their own"),
        ("pflash0", "give it as -drive if=pflash"), ("pflash1", "give it as -drive if=pflash"),
    ];

    /// <summary>The properties with their values, for the completion of shells.</summary>
    public static IEnumerable<string> Choices => s_properties.SelectMany(p =>
        p.Syntax.Contains('|', StringComparison.Ordinal) ? p.Syntax.Split('|').Select(v => $"virt,{p.Name}={v}") : []).Prepend("virt");

    /// <summary>The text of <c>-machine virt,help</c>.</summary>
    public static string DescribeProperties =>
        "virt-machine options:\n" + string.Join('\n', s_properties.Select(p => $"  {p.Name}={p.Syntax}".PadRight(36) + $" - {p.Help}"));

    /// <summary>Adds another <c>-machine</c> to the values so far.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public MachineOption Add(string text)
    {
        MachineOption option = this;
        foreach ((string key, string? value) in KeyValues.Parse(text, "type"))
        {
            string name = key.Replace('_', '-');
            if (name == "type")
            {
                option = value is "virt" or Version or None
                    ? option with { IsEmpty = value == None }
                    : throw new OptionException(
                        $"unsupported machine type '{UserText.Legible(value ?? "")}'; there are virt, which is {Version}, and none");
            }
            else if (Array.Find(s_properties, p => p.Name == name) is { } property)
            {
                option = property.Apply(option, value);
            }
            else
            {
                string? reason = Array.Find(s_refused, r => r.Name == name.Split('.')[0]).Reason;
                throw new OptionException(reason == null ? $"Property 'virt-machine.{key}' not found"
                    : $"{key} is not supported: {reason}");
            }
        }

        return option;
    }

    /// <summary>The model in this machine.</summary>
    /// <exception cref="OptionException">
    /// The option asks for the interrupt controller of a host whose CPUs are not used, or for tags that the CPU does not know.
    /// </exception>
    public CpuModel ModelOf(CpuModel cpu)
    {
        if (MemoryTags && !cpu.Has(Feature.Mte))
        {
            throw new OptionException(
                $"mte=on: MTE requested, but not supported by the guest CPU: {cpu.Name} has no memory tagging, max has");
        }

        if (HostGic && cpu.Name != "host")
        {
            throw new OptionException("gic-version=host takes -cpu host");
        }

        return MemoryTags ? cpu.WithMemoryTags() : cpu;
    }

    /// <exception cref="OptionException">The machine needs addresses above 4 GiB, which the option forbids.</exception>
    public void RequireRoom(ulong memoryBytes, int possibleCpus)
    {
        if (!Highmem && VirtMap.Board.Ram.Value + memoryBytes > FourGibibytes)
        {
            throw new OptionException($"highmem=off leaves room for {(FourGibibytes - VirtMap.Board.Ram.Value) >> 30}G of RAM");
        }

        if (!(Highmem && HighmemRedists) && possibleCpus > LowRedistributors)
        {
            throw new OptionException($"Number of SMP CPUs requested ({possibleCpus}) exceeds max CPUs supported by machine 'virt' "
                + $"({LowRedistributors}) without high redistributors");
        }
    }

    private static bool Switch(string key, string? value) => KeyValues.Switch(key, value);

    private static Property Only(string name, string value, string why) => new(name, value, why, (o, v) =>
        v == value || (value is "on" or "off" && Switch(name, v) == (value == "on")) ? o
            : throw new OptionException($"{name}={v} is not supported: {why}"));

    private static Property Idle(string name, string why) => new(name, "on|off", $"makes no difference: {why}", (o, v) =>
    {
        Switch(name, v);
        return o;
    });
}
