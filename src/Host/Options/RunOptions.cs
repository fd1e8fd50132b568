namespace Vmm.Host.Options;

/// <summary>What the command line of <c>vmm run</c> says, option by option; <see cref="MachineOptions.ToConfig"/> checks what must fit together.</summary>
public sealed record RunOptions
{
    public MachineOptions Machine { get; init; } = new(null, null, "", "", "", "max", "");

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

    /// <summary>What an option such as <c>-cpu help</c> asked to know: it is printed, and nothing runs.</summary>
    public string? Answer { get; init; }
}
