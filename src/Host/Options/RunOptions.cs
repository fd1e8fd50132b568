using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// The options of <c>vmm run</c>. <see cref="MachineOptions.ToConfig"/> checks that those about the machine fit together.
/// </summary>
public sealed record RunOptions
{
    public MachineOptions Machine { get; init; } = new();

    /// <summary>The character device of the serial line; null for the terminal, which is shared with the monitor.</summary>
    public CharacterDeviceOption? Serial { get; init; }

    /// <summary>The character devices of <c>-chardev</c>, to which other options refer.</summary>
    public IReadOnlyList<CharacterDeviceOption> Chardevs { get; init; } = [];

    /// <summary>The monitors beside that of the terminal.</summary>
    public IReadOnlyList<MonitorTarget> Monitors { get; init; } = [];

    /// <summary>The categories of the trace (<c>--trace</c>).</summary>
    public string? Trace { get; init; }

    public string? TraceFile { get; init; }

    /// <summary>The items that <c>-d</c> adds to the trace.</summary>
    public IReadOnlyList<string> LogItems { get; init; } = [];

    public string Log { get; init; } = Logging.LogOption.Default;

    /// <summary>The address where the VM listens for <c>vmm remote</c>; null if it does not.</summary>
    public string? Remote { get; init; }

    /// <summary>The socket for programs that speak the closed protocol; null without one.</summary>
    public CharacterDeviceOption? Control { get; init; }

    /// <summary>The path of the Unix socket of REST; null without one.</summary>
    public string? Api { get; init; }

    /// <summary>The file that has the time at which Linux ends the process; null for never.</summary>
    public string? Deadline { get; init; }

    /// <summary>The system calls that the process gives up before the guest runs; null for none.</summary>
    public SandboxOption? Sandbox { get; init; }

    /// <summary>The folder of the journal; null for a machine that ends with the program.</summary>
    public string? State { get; init; }

    /// <summary>The snapshot to go on from; null for a boot.</summary>
    public string? LoadVm { get; init; }

    /// <summary>
    /// Where a machine comes from that takes the place of this one: an address, or <see cref="IncomingOption.Defer"/>. Null for a boot.
    /// </summary>
    public string? Incoming { get; init; }

    /// <summary>Whether nothing is executed before <c>cont</c> (<c>-S</c>).</summary>
    public bool Stopped { get; init; }

    public string? PidFile { get; init; }

    /// <summary>Whether a reset by the guest or by a monitor powers the machine off instead (<c>-no-reboot</c>).</summary>
    public bool ShutdownOnReset { get; init; }

    /// <summary>Whether the program stays when the guest has powered off (<c>-no-shutdown</c>).</summary>
    public bool StayAfterShutdown { get; init; }

    /// <summary>The escape key, after which a key is a command for the console (<c>-echr</c>).</summary>
    public byte EscapeKey { get; init; } = Console.EscapeFilter.ControlA;

    /// <summary>The folders in which firmware is looked for that is named without a folder (<c>-L</c>).</summary>
    public IReadOnlyList<string> DataFolders { get; init; } = [];

    /// <summary>The objects of <c>-object</c>. Memory backends can be named by the machine.</summary>
    public IReadOnlyList<ObjectOption> Objects { get; init; } = [];

    /// <summary>Whether changes of drives last as long as the VM (<c>-snapshot</c>).</summary>
    public bool Snapshot { get; init; }

    /// <summary>Whether the one NUMA node was described (<c>-numa node</c>).</summary>
    public bool HasNumaNode { get; init; }

    /// <summary>Notices for the terminal about values that are accepted and change nothing.</summary>
    public IReadOnlyList<string> Notices { get; init; } = [];

    /// <summary>The text that an option such as <c>-cpu help</c> asked for; it is printed and nothing runs. Null for a run.</summary>
    public string? Answer { get; init; }

    /// <summary>Completes the options when all of them are known, with what one says about another.</summary>
    /// <exception cref="OptionException">Two options contradict each other: one line.</exception>
    public RunOptions Complete()
    {
        if (Snapshot && Machine.Drives.Count > 0)
        {
            throw new OptionException("-snapshot: not supported: banks of flash are written to");
        }

        if (LoadVm != null && State == null)
        {
            throw new OptionException("-loadvm: snapshots are in the folder of -state: give it, too");
        }

        if (LoadVm != null && Incoming != null)
        {
            throw new OptionException("'incoming' and 'loadvm' options are mutually exclusive");
        }

        foreach (ObjectOption group in Objects.Where(o => o.Limits != null))
        {
            Machine.Groups.Set(group.Id, group.Limits!);
        }

        RunOptions options = this with
        {
            Machine = Machine with
            {
                Snapshot = Snapshot, IsIncoming = Incoming != null, Dumps = [.. Objects.Select(o => o.Dump).OfType<FilterDumpOption>()],
            },
        };
        if (Machine.Bios is { } bios && !bios.Contains('/', StringComparison.Ordinal) && !File.Exists(bios)
            && DataFolders.Select(f => Path.Combine(f, bios)).FirstOrDefault(File.Exists) is { } found)
        {
            options = options with { Machine = options.Machine with { Bios = found } };
        }

        if (Machine.Machine.MemoryBackend is not { } backend)
        {
            return options;
        }

        ulong bytes = Objects.FirstOrDefault(o => o.Id == backend && o.Bytes > 0)?.Bytes
            ?? throw new OptionException($"-machine: Memory backend '{UserText.Legible(backend)}' not found");
        return Machine.Memory == null ? options with { Machine = options.Machine with { Memory = MemoryOption.Check(bytes) } }
            : Machine.Memory == bytes ? options
            : throw new OptionException("machine memory size does not match the size of the memory backend");
    }
}
