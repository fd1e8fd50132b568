using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// What the command line of <c>vmm run</c> says, option by option; <see cref="MachineOptions.ToConfig"/> checks what must fit together.
/// </summary>
public sealed record RunOptions
{
    public MachineOptions Machine { get; init; } = new();

    /// <summary>Where the serial line is; null for the terminal, with the monitor.</summary>
    public CharacterDeviceOption? Serial { get; init; }

    /// <summary>Character devices that others name.</summary>
    public IReadOnlyList<CharacterDeviceOption> Chardevs { get; init; } = [];

    /// <summary>Monitors, beside that of the terminal.</summary>
    public IReadOnlyList<MonitorTarget> Monitors { get; init; } = [];

    /// <summary>What is to be traced (<c>--trace</c>), and where.</summary>
    public string? Trace { get; init; }

    public string? TraceFile { get; init; }

    /// <summary>What <c>-d</c> adds to the trace.</summary>
    public IReadOnlyList<string> LogItems { get; init; } = [];

    public string Log { get; init; } = Logging.LogOption.Default;

    /// <summary>Where the VM takes messages of <c>vmm remote</c>; null for nowhere.</summary>
    public string? Remote { get; init; }

    /// <summary>The folder of the journal; null for a machine that ends with the program.</summary>
    public string? State { get; init; }

    /// <summary>Do not execute anything before <c>cont</c> (<c>-S</c>).</summary>
    public bool Stopped { get; init; }

    public string? PidFile { get; init; }

    /// <summary>What happens when the guest resets itself or the machine is reset (<c>-no-reboot</c>).</summary>
    public bool ShutdownOnReset { get; init; }

    /// <summary>The program stays when the guest has powered off (<c>-no-shutdown</c>).</summary>
    public bool StayAfterShutdown { get; init; }

    /// <summary>The key that stands before those of the terminal (<c>-echr</c>).</summary>
    public byte EscapeKey { get; init; } = Console.EscapeFilter.ControlA;

    /// <summary>Folders where firmware without a folder of its own is looked for (<c>-L</c>).</summary>
    public IReadOnlyList<string> DataFolders { get; init; } = [];

    /// <summary>Objects, of which memory backends can be named (<c>-object</c>).</summary>
    public IReadOnlyList<ObjectOption> Objects { get; init; } = [];

    /// <summary>No drive is to be written to (<c>-snapshot</c>).</summary>
    public bool Snapshot { get; init; }

    /// <summary>The one NUMA node was described (<c>-numa node</c>).</summary>
    public bool HasNumaNode { get; init; }

    /// <summary>What is to be said on the terminal though nothing is wrong.</summary>
    public IReadOnlyList<string> Notices { get; init; } = [];

    /// <summary>What an option such as <c>-cpu help</c> asked to know: it is printed, and nothing runs.</summary>
    public string? Answer { get; init; }

    /// <summary>The same, when all of them are known: what one says of another.</summary>
    /// <exception cref="OptionException">They do not fit: one line.</exception>
    public RunOptions Complete()
    {
        if (Snapshot && Machine.Drives.Count > 0)
        {
            throw new OptionException("-snapshot: not supported: drives are written to");
        }

        RunOptions options = this;
        if (Machine.Bios is { } bios && !bios.Contains('/', StringComparison.Ordinal) && !File.Exists(bios)
            && DataFolders.Select(f => Path.Combine(f, bios)).FirstOrDefault(File.Exists) is { } found)
        {
            options = options with { Machine = Machine with { Bios = found } };
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
