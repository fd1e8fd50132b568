using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Vmm.Actors.Protocol;

namespace Vmm.Actors.Hotplug;

/// <summary>A request that the guest has not answered.</summary>
/// <param name="TimedOut">It was reported as timed out; a late answer still completes it, and other requests no longer wait for it.</param>
public sealed record PendingOperation(string Id, bool Plug, long StartedAt, bool TimedOut);

/// <summary>
/// What the coordinator knows, and its rules: pure functions from state and command or answer to an event, and from state and event
/// to the next state. CPUs that are in <see cref="Plugged"/> can be unplugged; those enabled at power-on never are in it.
/// </summary>
public sealed record HotplugState(ImmutableSortedDictionary<int, string> Plugged, ImmutableSortedDictionary<int, PendingOperation> Pending)
{
    // _OST sources and status codes (ACPI 6.5, section 6.3.5).
    private const int SourceDeviceCheck = 1;
    private const int SourceInsertion = 0x200;
    private const int SourceEjectRequest = 3;
    private const int SourceOspmEject = 0x103;
    private const int StatusSuccess = 0;
    private const int StatusEjectionInProgress = 0x84;

    /// <summary>The longest name that a CPU may have, in characters.</summary>
    public const int LongestId = 128;

    public static readonly HotplugState Empty =
        new(ImmutableSortedDictionary<int, string>.Empty, ImmutableSortedDictionary<int, PendingOperation>.Empty);

    /// <summary>Whether a request is under way that others have to wait for.</summary>
    public bool Busy => Pending.Values.Any(p => !p.TimedOut);

    /// <summary>Why a plug is impossible, in QEMU's words; null when it is not.</summary>
    /// <param name="slotName">How QEMU names a CPU slot in messages.</param>
    public string? RefusePlug(PlugVcpu plug, int possibleCpus, Func<int, bool> isEnabled, Func<int, string> slotName)
    {
        if (!IsIdentifier(plug.Id))
        {
            return "Parameter 'id' expects an identifier";
        }

        if (plug.Cpu < 0 || plug.Cpu >= possibleCpus)
        {
            return $"Invalid core-id {plug.Cpu} specified, correct range 0:{possibleCpus - 1}";
        }

        if (Plugged.ContainsValue(plug.Id))
        {
            return $"Duplicate device ID '{plug.Id}'";
        }

        return isEnabled(plug.Cpu) || Plugged.ContainsKey(plug.Cpu) ? $"{slotName(plug.Cpu)} exist" : null;
    }

    /// <summary>The CPU of an unplug, or why it is impossible, in QEMU's words.</summary>
    public string? RefuseUnplug(UnplugVcpu unplug, out int cpu)
    {
        cpu = -1;
        foreach ((int index, string id) in Plugged)
        {
            if (id == unplug.Id)
            {
                cpu = index;
                return Pending.TryGetValue(cpu, out PendingOperation? pending) && !pending.Plug
                    ? $"Device {unplug.Id} is already in the process of unplug"
                    : null;
            }
        }

        return $"Device '{Legible(unplug.Id)}' not found";
    }

    /// <summary>Why the machine cannot have the CPUs that were plugged into its predecessor; null when it can.</summary>
    public string? RefusePowerOn(int possibleCpus, Func<int, bool> isEnabled)
    {
        foreach ((int cpu, string id) in Plugged)
        {
            if (cpu >= possibleCpus)
            {
                return $"the saved state has a CPU '{id}' with core-id {cpu}, correct range 0:{possibleCpus - 1}; start with the -smp of that time";
            }

            if (isEnabled(cpu))
            {
                return $"the saved state has a CPU '{id}' with core-id {cpu}, which is enabled without it; start with the -smp of that time";
            }
        }

        return null;
    }

    /// <summary>A name of anybody's as an answer may hold it: of bounded length and without control characters.</summary>
    public static string Legible(string? id) =>
        IsIdentifier(id) ? id : string.Concat((id ?? "").Where(c => c is >= ' ' and <= '~').Take(LongestId));

    // As QEMU has it: letters, digits, '-', '.', '_', starting with a letter.
    private static bool IsIdentifier([NotNullWhen(true)] string? id) =>
        id is { Length: > 0 and <= LongestId } && char.IsAsciiLetter(id[0]) && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_');

    /// <summary>What the guest's _OST means; null when it means nothing to a pending request, or not the end of one.</summary>
    public IProtocolMessage? DecideOst(int cpu, int source, int status, long now)
    {
        if (!Pending.TryGetValue(cpu, out PendingOperation? pending))
        {
            return null;
        }

        return pending.Plug switch
        {
            true when source is not (SourceDeviceCheck or SourceInsertion) => null,
            true when status == StatusSuccess => new PlugConfirmed(pending.Id, cpu, now),
            true => new PlugRefused(pending.Id, cpu, status, now),
            false when source is not (SourceEjectRequest or SourceOspmEject) => null,
            false when status is StatusSuccess or StatusEjectionInProgress => null,
            false => new UnplugRefused(pending.Id, cpu, status, now),
        };
    }

    public HotplugState Apply(IProtocolMessage happened) => happened switch
    {
        PlugStarted e => this with
        {
            Plugged = Plugged.SetItem(e.Cpu, e.Id),
            Pending = Pending.SetItem(e.Cpu, new PendingOperation(e.Id, true, e.At, false)),
        },
        UnplugStarted e => this with { Pending = Pending.SetItem(e.Cpu, new PendingOperation(e.Id, false, e.At, false)) },
        PlugConfirmed e => this with { Pending = Pending.Remove(e.Cpu) },
        PlugRefused e => this with { Pending = Pending.Remove(e.Cpu) },
        UnplugRefused e => this with { Pending = Pending.Remove(e.Cpu) },
        HotplugCancelled e => this with { Pending = Pending.Remove(e.Cpu) },
        HotplugTimedOut e => this with { Pending = Pending.SetItem(e.Cpu, Pending[e.Cpu] with { TimedOut = true }) },
        UnplugCompleted e => new HotplugState(Plugged.Remove(e.Cpu), Pending.Remove(e.Cpu)),
        _ => throw new ArgumentException($"{happened.GetType().Name} is no event of the coordinator", nameof(happened)),
    };

    /// <summary>What a requester is told of an event; null for the beginnings.</summary>
    public HotplugOutcome? OutcomeOf(IProtocolMessage happened) => happened switch
    {
        PlugConfirmed e => new HotplugOutcome(e.Id, e.Cpu, true, "done", 0),
        PlugRefused e => new HotplugOutcome(e.Id, e.Cpu, true, "refused", e.OstStatus),
        UnplugRefused e => new HotplugOutcome(e.Id, e.Cpu, false, "refused", e.OstStatus),
        UnplugCompleted e => new HotplugOutcome(e.Id, e.Cpu, false, "done", 0),
        HotplugTimedOut e => new HotplugOutcome(e.Id, e.Cpu, Pending[e.Cpu].Plug, "timed-out", 0),
        HotplugCancelled e => new HotplugOutcome(e.Id, e.Cpu, Pending[e.Cpu].Plug, "cancelled", 0),
        _ => null,
    };
}
