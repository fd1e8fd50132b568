using Vmm.Emulation.Cpu;
using Vmm.Emulation.Tracing;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// The table of all options of <c>vmm run</c> and <c>vmm -…</c>: their names, their values and their effects. The help, the completion of
/// shells and both forms of the command line are made from it. Options that QEMU has and Vmm lacks are in <see cref="Refused"/>.
/// </summary>
public static class OptionTable
{
    private static readonly OptionRow[] s_supported =
    [
        new("help", "", "print this help", OptionValue.None, (o, _) => o with { Answer = OptionHelp.Text }) { Aliases = ["h"] },
        new("version", "", "print the version", OptionValue.None, (o, _) => o with { Answer = OptionHelp.Version }),

        new("machine", MachineOption.Syntax, "the machine; -machine virt,help lists its properties", OptionValue.Text,
            ApplyMachine) { Aliases = ["M"], Choices = [.. MachineOption.Choices] },
        new("cpu", CpuOption.Syntax, "CPU model (max); -cpu help lists them", OptionValue.Text, (o, v) =>
            v is "help" or "?" ? o with { Answer = CpuOption.Describe }
                : OfMachine(o, m => m with { Cpu = CpuOption.Parse(v) })) { Choices = [.. CpuModel.All.Select(m => m.Name)] },
        new("smp", SmpOption.Syntax,
            "CPUs: enabled at power-on, possible at all, disabled by the administrator, and how they are arranged (1)", OptionValue.Text,
            (o, v) => OfMachine(o, m => m with { Smp = SmpOption.Add(m.Smp, v) })),
        new("m", MemoryOption.Syntax, $"size of RAM, in MiB without a suffix ({MemoryOption.Default >> 20}M)", OptionValue.Text, (o, v) =>
            OfMachine(o, m => m with { Memory = MemoryOption.Parse(v) })) { Aliases = ["memory"] },
        new("accel", AcceleratorOption.Syntax, AcceleratorOption.Help, OptionValue.Text, ApplyAccelerator)
            { Choices = ["jit", "interp", "lockstep", "kvm:jit", "tcg"] },
        new("enable-kvm", "", "ask for KVM before other engines; there is none for Arm guests here", OptionValue.None, (o, _) =>
            ApplyAccelerator(o, "kvm")),

        new("boot", BootOption.Syntax, "what EDK2 is told: a menu, for how long, and that only devices with a bootindex= are booted",
            OptionValue.Text, (o, v) => OfMachine(o, m => m with { BootChoice = BootOption.Add(m.BootChoice, v) }))
            { Choices = ["menu=on", "strict=on"] },
        new("device",
            $"{CpuDeviceOption.Syntax}; {DiskDeviceOption.Syntax}; {NetDeviceOption.Syntax}; {PciDeviceOption.Syntax}; "
                + $"{string.Join('|', VirtioDeviceOption.Drivers)}[,id=NAME]…; {SerialPortOption.Syntax}; "
                + $"or {GenerationIdOption.Driver}[,guid=auto|UUID]",
            "a CPU that is plugged from power-on and can be unplugged, a disk's device, a device on the PCI bus, or the VM generation ID; "
                + "-device help lists the models",
            OptionValue.Text, ApplyDevice)
            {
                Choices =
                [
                    .. CpuModel.All.Select(m => m.Name + CpuOption.DeviceSuffix), .. DiskDeviceOption.Drivers, NetDeviceOption.Driver,
                    .. PciDeviceOption.Drivers, .. VirtioDeviceOption.Drivers,
                    .. SerialPortOption.Drivers, GenerationIdOption.Driver,
                ],
            },
        new("netdev", NetdevOption.Syntax, "a network backend, for the netdev= of a device; -netdev help lists the types",
            OptionValue.Text, (o, v) =>
            v is "help" or "?" ? o with { Answer = NetdevOption.Describe }
                : OfMachine(o, m => m with { Netdevs = [.. m.Netdevs, NetdevOption.Parse(v)] })) { Choices = [.. NetdevOption.Types] },
        new("nic", NicOption.Syntax, "a network device with its backend; without this and -netdev there is no network", OptionValue.Text,
            (o, v) => OfMachine(o, m => NicOption.Parse(v, m.Nics.Count) is { } nic ? m with { Nics = [.. m.Nics, nic] } : m))
            { Choices = [.. NetdevOption.Types, "none"] },
        new("net", NicOption.NetSyntax, "the same, in two options as of old", OptionValue.Text,
            (o, v) => OfMachine(o, m => NicOption.ParseNet(v, m.Nics.Count) is { } nic ? m with { Nics = [.. m.Nics, nic] } : m))
            { Choices = ["nic", .. NetdevOption.Types, "none"] },
        new("global", "DRIVER.PROPERTY=VALUE",
            "a property of the CPUs, as in -cpu; of a device that there is none of it makes no difference", OptionValue.Text,
            GlobalOption.Apply),
        new("object", ObjectOption.Syntax,
            "an object for others to name: RAM (-machine memory-backend=ID), certificates (tls-creds of migrations)", OptionValue.Text,
            (o, v) =>
            v is "help" or "?" ? o with { Answer = ObjectOption.Describe }
                : o with { Objects = [.. o.Objects, Named(o.Objects, ObjectOption.Parse(v))] }),

        new("kernel", "FILE", "arm64 Linux Image to boot", OptionValue.File, (o, v) => OfMachine(o, m => m with { Kernel = v })),
        new("initrd", "FILE", "initial RAM disk", OptionValue.File, (o, v) => OfMachine(o, m => m with { Initrd = v })),
        new("append", "TEXT", "kernel command line", OptionValue.Text, (o, v) => OfMachine(o, m => m with { Append = v })),

        new("bios", "FILE", "firmware, such as EDK2's QEMU_EFI.fd: it boots the kernel, if there is one", OptionValue.File, (o, v) =>
            OfMachine(o, m => m with { Bios = v })),
        new("L", "FOLDER", "where -bios is looked for, too", OptionValue.Folder, (o, v) => o with { DataFolders = [.. o.DataFolders, v] }),
        new("drive", $"{DiskOption.DriveSyntax}; or {FirmwareOption.DriveSyntax}",
            "a disk, or a bank of flash: unit 0 has the firmware, unit 1 its variables", OptionValue.Text,
            (o, v) => OfMachine(o, m => DiskOption.IsFlash(v) ? m with { Drives = [.. m.Drives, v] }
                : m with { Disks = [.. m.Disks, DiskOption.ParseDrive(v)] })),
        new("blockdev", DiskOption.BlockdevSyntax, "a disk image, for the drive= of a device", OptionValue.Text,
            (o, v) => OfMachine(o, m => m with { Disks = [.. m.Disks, DiskOption.ParseNode(v)] })),
        new("hda", "FILE", "the first raw disk", OptionValue.File, (o, v) => AddDisk(o, v, index: 0)),
        new("hdb", "FILE", "the second raw disk", OptionValue.File, (o, v) => AddDisk(o, v, index: 1)),
        new("hdc", "FILE", "the third raw disk", OptionValue.File, (o, v) => AddDisk(o, v, index: 2)),
        new("hdd", "FILE", "the fourth raw disk", OptionValue.File, (o, v) => AddDisk(o, v, index: 3)),
        new("cdrom", "FILE", "a raw disk that is not written, the third", OptionValue.File, (o, v) =>
            AddDisk(o, v, index: 2, isReadOnly: true)),
        new("fsdev", FsdevOption.FsdevSyntax, "a folder of the host, for the fsdev= of a device", OptionValue.Text, (o, v) =>
            OfMachine(o, m => m with { SharedFolders = [.. m.SharedFolders, Named(m.SharedFolders, FsdevOption.Parse(v))] })),
        new("only-migratable", "", "the guest cannot do what would keep it from being saved or moved: mount a folder of the host",
            OptionValue.None, (o, _) => OfMachine(o, m => m with { OnlyMigratable = true })),
        new("virtfs", FsdevOption.VirtfsSyntax, "a folder of the host, and the device that has it", OptionValue.Text, ApplyVirtfs),
        new("pflash", "FILE", "the next bank of flash", OptionValue.File, (o, v) =>
            OfMachine(o, m => m with { Drives = [.. m.Drives, $"if=pflash,file={v.Replace(",", ",,", StringComparison.Ordinal)}"] })),

        .. IdleOptions.Rows,
        new("sandbox", SandboxOption.Syntax, "system calls that the process gives up before the guest runs", OptionValue.Text, (o, v) =>
            o with { Sandbox = SandboxOption.Parse(v) }) { Choices = ["on", "off"] },

        new("serial", CharacterDeviceOption.Syntax, "where the guest's serial line is (mon:stdio)", OptionValue.Text, (o, v) =>
            CharacterDeviceOption.Parse(v) is var device && o.Serial == null ? o with { Serial = device }
                : device.Kind == CharacterDeviceKind.Null ? o
                : throw new OptionException("not supported: more than one serial line")) { Choices = ["mon:stdio", "stdio", "none"] },
        new("monitor", CharacterDeviceOption.Syntax, "a monitor for people", OptionValue.Text, (o, v) =>
            o with { Monitors = [.. o.Monitors,
                new MonitorTarget(CharacterDeviceOption.Parse(v), Control: false, Pretty: false)] }) { Choices = ["none", "stdio"] },
        new("qmp", CharacterDeviceOption.Syntax, "a monitor for programs (QMP)", OptionValue.Text, (o, v) =>
            o with { Monitors = [.. o.Monitors,
                new MonitorTarget(CharacterDeviceOption.Parse(v), Control: true, Pretty: false)] }) { Choices = ["stdio"] },
        new("qmp-pretty", CharacterDeviceOption.Syntax, "a monitor for programs whose answers are laid out for people", OptionValue.Text,
            (o, v) =>
            o with { Monitors = [.. o.Monitors,
                new MonitorTarget(CharacterDeviceOption.Parse(v), Control: true, Pretty: true)] }) { Choices = ["stdio"] },
        new("echr", "NUMBER", "the key before those of the terminal, as its number: 1, Ctrl-A, without", OptionValue.Text, (o, v) =>
            o with { EscapeKey = QemuNumber.TryParse(v, out long key) && key is >= 0 and <= byte.MaxValue ? (byte)key
                : throw new OptionException("give a number from 0 to 255, such as 0x14 for Ctrl-T") }),
        new("chardev", CharacterDeviceOption.ChardevSyntax, "a character device, for -mon and chardev:ID", OptionValue.Text, (o, v) =>
            o with { Chardevs = [.. o.Chardevs, CharacterDeviceOption.ParseChardev(v)] }) { Choices = ["socket", "stdio", "file", "null"] },
        new("mon", MonitorOption.Syntax, "a monitor at a character device: for people, or QMP (mode=control)", OptionValue.Text, (o, v) =>
            o with { Monitors = [.. o.Monitors, MonitorTarget.Of(MonitorOption.Parse(v))] }),

        new("rtc", RtcOption.Syntax, "what the real time clock shows, and what drives it (base=utc,clock=host)", OptionValue.Text, (o, v) =>
            OfMachine(o, m => m with { Rtc = RtcOption.Add(m.Rtc, v) })) { Choices =
                ["base=utc", "base=localtime", "clock=host", "clock=rt", "clock=vm"] },
        new("icount", IcountOption.Syntax, "count guest time in instructions of 2^N ns, so that a run repeats: with one CPU, interpreted",
            OptionValue.Text, (o, v) =>
            OfMachine(o, m => m with { InstructionShift = IcountOption.Parse(v) })) { Choices = ["shift=4,sleep=off"] },
        new("loadvm", "TAG|PATH", "go on from a snapshot in the folder of -state, or of another, in place of a boot", OptionValue.Text,
            (o, v) => o with { LoadVm = v }),
        new("incoming", IncomingOption.Syntax, "wait for a machine that another process sends, in place of a boot", OptionValue.Text,
            (o, v) => o with { Incoming = IncomingOption.Parse(v) }) { Choices = [IncomingOption.Defer] },
        new("S", "", "execute nothing before the monitor's cont", OptionValue.None, (o, _) => o with { Stopped = true }),
        new("no-reboot", "", "end the program where the machine would be reset", OptionValue.None, (o, _) =>
            o with { ShutdownOnReset = true }),
        new("no-shutdown", "", "the program stays when the guest has powered off", OptionValue.None, (o, _) =>
            o with { StayAfterShutdown = true }),
        new("action", ActionOption.Syntax, "the same by the name of the event", OptionValue.Text, ActionOption.Apply)
            { Choices = ["reboot=reset", "reboot=shutdown", "shutdown=poweroff", "shutdown=pause"] },
        new("name", NameOption.Syntax, "what the VM is called: the monitors tell it", OptionValue.Text, (o, v) =>
            OfMachine(o, m => m with { Name = NameOption.Parse(v) ?? m.Name })),
        new("uuid", "UUID", "the VM's UUID: monitors and SMBIOS tables tell it", OptionValue.Text, (o, v) =>
            OfMachine(o, m => m with { Uuid = NameOption.ParseUuid(v) })),
        new("snapshot", "", "changes of drives last as long as the VM", OptionValue.None, (o, _) => o with { Snapshot = true }),
        new("pidfile", "FILE", "write the process id there, and remove the file at the end", OptionValue.File, (o, v) =>
            o with { PidFile = v }),

        new("d", "ITEM[,ITEM...]", "what to trace, as QEMU names it, to stderr or to the file of -D; -d help lists the items",
            OptionValue.Text, (o, v) =>
            v is "help" or "?" ? o with { Answer = LogItems.Describe }
                : o with { LogItems = [.. o.LogItems, Checked(v, LogItems.Parse)] }) { Choices = LogItems.Names },
        new("D", "FILE", "where -d goes", OptionValue.File, (o, v) => o with { TraceFile = v }),
        new("trace", "CATEGORIES", $"what to trace: {TraceCategoryNames.All}", OptionValue.Text, (o, v) =>
            o with { Trace = v }) { Choices = TraceCategoryNames.All.Split(',') },
        new("trace-file", "FILE", $"where the trace goes ({TraceOption.DefaultFile})", OptionValue.File, (o, v) =>
            o with { TraceFile = v }),
        new("log", "LEVEL[,FILE]", "log to stderr, or to a file", OptionValue.Text, (o, v) =>
            o with { Log = v }) { Choices = ["verbose", "debug", "information", "warning", "error", "fatal"] },
        new("remote", EndpointOption.Syntax, "take monitor commands of vmm remote; whoever reaches the port controls the VM (127.0.0.1)",
            OptionValue.Text, (o, v) => o with { Remote = v }),
        new("control", CharacterDeviceOption.ControlSyntax, "take the messages of vmm node at a Unix socket, which is its owner's alone",
            OptionValue.Text, (o, v) => o with { Control = CharacterDeviceOption.ParseControl("control", v) }),
        new("api", CharacterDeviceOption.ControlSyntax, "serve REST of this VM at a Unix socket, which is its owner's alone (docs/rest.md)",
            OptionValue.Text, (o, v) => o with { Api = CharacterDeviceOption.ParseControl("api", v).Target!.Path }),
        new("deadline", "FILE", "let Linux kill the VM at the time that the file of a vmm node has, which the node puts off",
            OptionValue.File, (o, v) => o with { Deadline = v }),
        new("state", "FOLDER", "keep there snapshots, and which CPUs are plugged and disabled: they are so from power-on in the next run",
            OptionValue.Folder, (o, v) => o with { State = v }),
    ];

    private static readonly Dictionary<string, OptionRow> s_byName = ByName();

    /// <summary>The options that work, in the order of the help.</summary>
    public static IReadOnlyList<OptionRow> Supported => s_supported;

    /// <summary>The options that QEMU has and Vmm lacks, each with the reason.</summary>
    public static IReadOnlyList<OptionRow> Refused => RefusedOptions.Rows;

    /// <summary>The row of a name without dashes; null if there is none.</summary>
    public static OptionRow? Find(string name) => s_byName.GetValueOrDefault(name);

    private static Dictionary<string, OptionRow> ByName()
    {
        var rows = new Dictionary<string, OptionRow>(StringComparer.Ordinal);
        foreach (IReadOnlyList<OptionRow> part in (IReadOnlyList<OptionRow>[])[s_supported, Refused])
        {
            foreach (OptionRow row in part)
            {
                rows.Add(row.Name, row);
                foreach (string alias in row.Aliases)
                {
                    rows.Add(alias, row);
                }
            }
        }

        return rows;
    }

    private static RunOptions OfMachine(RunOptions options, Func<MachineOptions, MachineOptions> change) =>
        options with { Machine = change(options.Machine) };

    private static RunOptions AddDisk(RunOptions options, string file, int index, bool isReadOnly = false) =>
        OfMachine(options, m => m with { Disks = [.. m.Disks, DiskOption.OfFile(file, index, isReadOnly)] });

    private static RunOptions ApplyMachine(RunOptions options, string value) => value switch
    {
        "help" or "?" => options with { Answer = MachineOption.Describe },
        _ when value.Split(',') is [_, .., "help" or "?"] => options with { Answer = MachineOption.DescribeProperties },
        _ => OfMachine(options, m => m with { Machine = m.Machine.Add(value) }),
    };

    private static RunOptions ApplyAccelerator(RunOptions options, string value) => value is "help" or "?"
        ? options with { Answer = AcceleratorOption.Describe }
        : OfMachine(options, m => m with { Accel = (m.Accel ?? AcceleratorChoice.None).Or(value) });

    private static RunOptions ApplyDevice(RunOptions options, string value) =>
        value is "help" or "?"
            ? options with
            {
                Answer = $"{CpuDeviceOption.Describe}\n\nStorage devices:\n"
                    + $"name \"{DiskDeviceOption.PciDriver}\", bus PCI, alias \"virtio-blk\"\n"
                    + $"name \"{DiskDeviceOption.MmioDriver}\", bus virtio-bus\n\n"
                    + $"Network devices:\nname \"{NetDeviceOption.Driver}\", bus virtio-bus\n\n"
                    + $"{PciDeviceOption.Describe}\n\nVirtio devices:\n{VirtioDeviceOption.Describe}\n{SerialPortOption.Describe}\n\n"
                    + $"Misc devices:\nname \"{GenerationIdOption.Driver}\"",
            }
        : value.Split(',') is [var driver, .., "help" or "?"] ? options with
        {
            Answer = driver == GenerationIdOption.Driver ? GenerationIdOption.DescribeProperties
                : driver == NetDeviceOption.Driver ? NetDeviceOption.DescribeProperties
                : DiskDeviceOption.DescribeProperties(driver) ?? PciDeviceOption.DescribeProperties(driver)
                    ?? VirtioDeviceOption.DescribeProperties(driver) ?? SerialPortOption.DescribeProperties(driver)
                    ?? CpuDeviceOption.DescribeProperties(driver),
        }
        : DiskDeviceOption.IsDriver(value)
            ? OfMachine(options, m => m with
            {
                DiskDevices = [.. m.DiskDevices, DiskDeviceOption.Parse(value) with { After = m.PciDevices.Count }],
            })
        : NetDeviceOption.IsDriver(value)
            ? OfMachine(options, m => m with { NetDevices = [.. m.NetDevices, NetDeviceOption.Parse(value)] })
        : GenerationIdOption.IsDriver(value) ? OfMachine(options, m => m with
        {
            GenerationId = m.GenerationId == null ? GenerationIdOption.Parse(value)
                : throw new OptionException($"at most one {GenerationIdOption.Driver} device is permitted"),
        })
        : PciDeviceOption.IsDriver(value) ? OfMachine(options, m => m with
        {
            PciDevices = [.. m.PciDevices, PciDeviceOption.Parse(value, m.PciDevices)],
        })
        : VirtioDeviceOption.IsDriver(value) ? ApplyVirtio(options, value)
        : SerialPortOption.IsDriver(value)
            ? OfMachine(options, m => m with { SerialPorts = [.. m.SerialPorts, SerialPortOption.Parse(value)] })
        : OfMachine(options, m => m with { Devices = [.. m.Devices, CpuDeviceOption.Parse(value)] });

    private static RunOptions ApplyVirtio(RunOptions options, string value) => OfMachine(options, m => m with
    {
        VirtioDevices = [.. m.VirtioDevices, VirtioDeviceOption.Parse(value, m.PciDevices.Count)],
    });

    private static RunOptions ApplyVirtfs(RunOptions options, string value)
    {
        (FsdevOption folder, string device) = FsdevOption.ParseVirtfs(value);
        return ApplyVirtio(
            OfMachine(options, m => m with { SharedFolders = [.. m.SharedFolders, Named(m.SharedFolders, folder)] }), device);
    }

    // Returns the text if it parses by itself.
    private static string Checked<T>(string text, Func<string, T> parse)
    {
        parse(text);
        return text;
    }

    private static ObjectOption Named(IReadOnlyList<ObjectOption> earlier, ObjectOption added) =>
        earlier.All(o => o.Id != added.Id) ? added
            : throw ObjectOption.Duplicate(added.Id);

    private static FsdevOption Named(IReadOnlyList<FsdevOption> earlier, FsdevOption added) =>
        earlier.All(f => f.Id != added.Id) ? added
            : throw new OptionException($"Duplicate ID '{UserText.Legible(added.Id)}' for fsdev");
}
