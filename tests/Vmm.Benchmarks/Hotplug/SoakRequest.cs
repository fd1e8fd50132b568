namespace Vmm.Benchmarks.Hotplug;

/// <summary>One plug or unplug that was sent, and all that was heard of it.</summary>
internal sealed class SoakRequest(string id, int cpu, bool plug, TimeSpan sentAt)
{
    private readonly List<string> _outcomes = [];

    public string Id { get; } = id;

    public int Cpu { get; } = cpu;

    /// <summary>The CPU is to come, else to leave.</summary>
    public bool Plug { get; } = plug;

    public TimeSpan SentAt { get; } = sentAt;

    /// <summary>Why it was refused at once; null when it was not.</summary>
    public string? Error { get; set; }

    /// <summary>It was answered without an error.</summary>
    public bool Accepted { get; set; }

    /// <summary>An unplug was asked for while this plug was under way, which may cancel it.</summary>
    public bool Superseded { get; set; }

    /// <summary>What its outcomes were, in order: done, refused, cancelled, timed-out.</summary>
    public IReadOnlyList<string> Outcomes => _outcomes;

    /// <summary>How many outcomes ended it: one, when all is well.</summary>
    public int Ends => _outcomes.Count(o => o != "timed-out");

    /// <summary>How it ended; null while it has not.</summary>
    public string? End => _outcomes.Find(o => o != "timed-out");

    /// <summary>When it ended; null while it has not.</summary>
    public TimeSpan? EndedAt { get; private set; }

    public void Hear(string outcome, TimeSpan at)
    {
        _outcomes.Add(outcome);
        EndedAt ??= End == null ? null : at;
    }

    public override string ToString() =>
        $"{(Plug ? "device_add" : "device_del")} {Id} (CPU {Cpu}): {Error ?? (Accepted ? "accepted" : "no answer")}, "
        + $"outcomes [{string.Join(", ", _outcomes)}]";
}
