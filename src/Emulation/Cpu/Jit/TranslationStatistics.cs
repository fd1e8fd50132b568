namespace Vmm.Emulation.Cpu.Jit;

/// <summary>What the translation cache has done since it was made. Owner: whoever holds its lock.</summary>
internal record struct TranslationStatistics
{
    public long Blocks { get; set; }

    /// <summary>Guest instructions of all blocks.</summary>
    public long Instructions { get; set; }

    /// <summary>Bytes of host code of all blocks.</summary>
    public long HotBytes { get; set; }

    /// <summary>Bytes of their ways out, which the bytes before do not contain.</summary>
    public long ColdBytes { get; set; }

    /// <summary>Time in the translator, decoding included.</summary>
    public TimeSpan Translating { get; set; }

    /// <summary>How often, and how long, a vCPU waited for another that translated or linked.</summary>
    public long Waits { get; set; }

    public TimeSpan Waiting { get; set; }

    /// <summary>The longest time for which all vCPUs were kept out of the code while some of it was given up.</summary>
    public TimeSpan LongestGiveUp { get; set; }

    /// <summary>Blocks that were given up because the guest had changed a line that they were made of.</summary>
    public long BlocksGivenUp { get; set; }

    /// <summary>How often a segment, or all code, was given up.</summary>
    public long GivenUp { get; set; }

    /// <summary>Bytes of the code that is there now, thunks included, and of the room for it.</summary>
    public long Used { get; set; }

    /// <summary>Bytes of the blocks in force.</summary>
    public long Live { get; set; }

    /// <summary>Pages that have code.</summary>
    public int Pages { get; set; }

    public long Capacity { get; set; }

    /// <summary>Code is written at other addresses than it is executed at.</summary>
    public bool MappedTwice { get; set; }

    /// <summary>Why the perf map is not complete; null while it is.</summary>
    public string? PerfMapFailure { get; set; }
}
