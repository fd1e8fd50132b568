using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Vmm.Actors.Protocol;

namespace Vmm.Actors.Hotplug;

/// <summary>A request that the guest has not answered.</summary>
/// <param name="StartedAt">UTC milliseconds since 1970.</param>
/// <param name="TimedOut">It was reported as timed out; a late answer still completes it, and it may be asked for again.</param>
public sealed record PendingOperation(string Id, HotplugOperation Operation, long StartedAt, bool TimedOut)
{
    /// <summary>Whether the guest gets the CPU (true), or is to give it back (false).</summary>
    public bool Comes => Operation.Comes();
}

/// <summary>
/// What the coordinator knows, and its rules: pure functions from state and command or answer to an event, and from state and event
/// to the next state.
/// <code>
///            device_add                  device_set disable
/// Removed ───────────────► Enabled ◄──────────────────────────► Disabled
///    ▲        device_del      │           device_set enable        │
///    └────────────────────────┴──────────────── device_del ────────┘
/// </code>
/// </summary>
/// <param name="Plugged">CPUs that were plugged, with their names. They can be unplugged and disabled.</param>
/// <param name="Pending">Requests under way.</param>
/// <param name="Admin">CPUs that the administrator has enabled or disabled since power-on or since they were plugged.</param>
/// <param name="Missing">CPUs of power-on that were unplugged; where they were can be plugged into.</param>
public sealed record HotplugState(
    ImmutableSortedDictionary<int, string> Plugged,
    ImmutableSortedDictionary<int, PendingOperation> Pending,
    ImmutableSortedDictionary<int, CpuAdminState> Admin,
    ImmutableSortedSet<int> Missing)
{
    // _OST sources and status codes (ACPI 6.5, section 6.3.5).
    private const int SourceDeviceCheck = 1;
    private const int SourceInsertion = 0x200;
    private const int SourceEjectRequest = 3;
    private const int SourceOspmEject = 0x103;
    private const int StatusSuccess = 0;
    private const int StatusEjectionInProgress = 0x84;

    // CPUs that have no name of the user's are called by their number.
    private const string NumberPrefix = "cpu-";

    /// <summary>The longest name that a CPU may have, in characters.</summary>
    public const int LongestId = 128;

    public static readonly HotplugState Empty = new(
        ImmutableSortedDictionary<int, string>.Empty,
        ImmutableSortedDictionary<int, PendingOperation>.Empty,
        ImmutableSortedDictionary<int, CpuAdminState>.Empty,
        ImmutableSortedSet<int>.Empty);

    /// <summary>Where the administrator has a CPU; one that is leaving is enabled until it has left.</summary>
    public CpuAdminState AdminOf(int cpu, PowerOnCpus cpus) =>
        Admin.TryGetValue(cpu, out CpuAdminState state) ? state
        : Plugged.ContainsKey(cpu) ? CpuAdminState.Enabled
        : Missing.Contains(cpu) ? CpuAdminState.Removed
        : cpus.AdminOf(cpu);

    /// <summary>The name of a CPU that is there.</summary>
    public string NameOf(int cpu) => Plugged.TryGetValue(cpu, out string? id) ? id : $"{NumberPrefix}{cpu}";

    /// <summary>The names and administrative states of all possible CPUs.</summary>
    public DescribeCpusPower DescribePower(PowerOnCpus cpus)
    {
        CpuAdminState[] admin = [.. Enumerable.Range(0, cpus.Possible).Select(cpu => AdminOf(cpu, cpus))];
        return new DescribeCpusPower([.. admin.Select((state, cpu) => state == CpuAdminState.Removed ? "" : NameOf(cpu))], admin);
    }

    /// <summary>Why a plug is impossible; null when it is not.</summary>
    public Rejection? RefusePlug(PlugVcpu plug, PowerOnCpus cpus)
    {
        if (!IsIdentifier(plug.Id))
        {
            return new Rejection(RejectionCode.InvalidArgument, "Parameter 'id' expects an identifier");
        }

        if (plug.Cpu < 0 || plug.Cpu >= cpus.Possible)
        {
            return OutOfRange(plug.Cpu, cpus);
        }

        if (Find(plug.Id, cpus) is { } other && other != plug.Cpu)
        {
            return new Rejection(RejectionCode.DuplicateId, $"Duplicate device ID '{plug.Id}'");
        }

        return AdminOf(plug.Cpu, cpus) != CpuAdminState.Removed && !IsPlugAskedAgain(plug)
            ? new Rejection(RejectionCode.SlotInUse, $"{cpus.SlotOf(plug.Cpu)} exist")
            : null;
    }

    // The guest has not answered the same plug in time.
    private bool IsPlugAskedAgain(PlugVcpu plug) =>
        Pending.TryGetValue(plug.Cpu, out PendingOperation? pending) && pending is { Operation: HotplugOperation.Plug, TimedOut: true }
            && pending.Id == plug.Id;

    /// <summary>Why an unplug is impossible; null when it is not.</summary>
    /// <param name="cpu">The CPU to unplug; -1 where there is none of that name.</param>
    public Rejection? RefuseUnplug(UnplugVcpu unplug, PowerOnCpus cpus, out int cpu)
    {
        cpu = Find(unplug.Id, cpus) ?? -1;
        return cpu < 0 ? new Rejection(RejectionCode.DeviceNotFound, $"Device '{Legible(unplug.Id)}' not found")
            : cpu == 0 ? new Rejection(RejectionCode.CannotLeave, $"Boot CPU({cpus.PlaceOf(0)}) hot-unplug not supported")
            : RefuseLeaving(cpu, cpus);
    }

    /// <summary>Why a CPU cannot be enabled or disabled, in the words of QEMU's series; null when it can.</summary>
    public Rejection? RefuseSet(SetVcpuAdmin set, PowerOnCpus cpus)
    {
        if (set.Cpu < 0 || set.Cpu >= cpus.Possible)
        {
            return OutOfRange(set.Cpu, cpus);
        }

        if (AdminOf(set.Cpu, cpus) == CpuAdminState.Removed)
        {
            return new Rejection(RejectionCode.DeviceNotFound, $"No device found for driver '{cpus.Model}-arm-cpu'");
        }

        return set.Enabled ? RefuseEnabling(set.Cpu)
            : set.Cpu == 0 ? new Rejection(RejectionCode.CannotLeave, $"can't power-off boot CPU ({cpus.PlaceOf(0)})")
            : RefuseLeaving(set.Cpu, cpus);
    }

    // Enabling a CPU that the guest still may give back, even after a time-out, would leave open which of both counts.
    private Rejection? RefuseEnabling(int cpu) =>
        !Pending.TryGetValue(cpu, out PendingOperation? pending) ? null
        : !pending.Comes ? AlreadyLeaving(cpu)
        : !pending.TimedOut ? new Rejection(RejectionCode.InProgress, $"Device {NameOf(cpu)} is already in the process of plug")
        : null;

    private Rejection? RefuseLeaving(int cpu, PowerOnCpus cpus) =>
        cpus.IsFixed(cpu) ? new Rejection(
            RejectionCode.CannotLeave,
            $"Hot-unplug of cold-booted CPU not supported! {NameOf(cpu)} is Enabled in the MADT for good; "
            + "-machine online-capable-cpus=on makes it one that can leave")
        : Pending.TryGetValue(cpu, out PendingOperation? pending) && pending is { Comes: false, TimedOut: false } ? AlreadyLeaving(cpu)
        : null;

    /// <summary>Why nothing is asked of a CPU that is on its way out, in QEMU's words.</summary>
    public Rejection AlreadyLeaving(int cpu) => new(RejectionCode.InProgress, $"Device {NameOf(cpu)} is already in the process of unplug");

    private static Rejection OutOfRange(int cpu, PowerOnCpus cpus) =>
        new(RejectionCode.InvalidArgument, $"Invalid core-id {cpu} specified, correct range 0:{cpus.Possible - 1}");

    // The CPU of a name: of those that were plugged, and then of the others that are there.
    private int? Find(string? id, PowerOnCpus cpus)
    {
        foreach ((int cpu, string name) in Plugged)
        {
            if (name == id)
            {
                return cpu;
            }
        }

        return id != null && id.StartsWith(NumberPrefix, StringComparison.Ordinal)
            && int.TryParse(id.AsSpan(NumberPrefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            && number < cpus.Possible && !Plugged.ContainsKey(number) && AdminOf(number, cpus) != CpuAdminState.Removed
            && NameOf(number) == id
            ? number
            : null;
    }

    /// <summary>
    /// What happens at power-on to the CPUs that the machine is made with and that are not there from its predecessor: they are plugged.
    /// </summary>
    /// <param name="refusal">Why the machine cannot have the CPUs that its predecessor had and those; null when it can.</param>
    public IReadOnlyList<IHotplugEvent> PowerOn(PowerOnCpus cpus, long now, out string? refusal)
    {
        var happened = new List<IHotplugEvent>();
        HotplugState state = this;
        refusal = RefusePowerOn(cpus);
        foreach (PlugVcpu plug in cpus.Plugged.Where(p => Plugged.GetValueOrDefault(p.Cpu) != p.Id))
        {
            if (refusal == null && state.RefusePlug(plug, cpus) is { } why)
            {
                refusal = $"the saved state has no room for '{plug.Id}': {why.Reason}";
            }

            IHotplugEvent[] plugged = [new PlugStarted(plug.Id, plug.Cpu, now), new PlugConfirmed(plug.Id, plug.Cpu, now)];
            state = state.Apply(plugged);
            happened.AddRange(plugged);
        }

        return happened;
    }

    /// <summary>Why the machine cannot have the CPUs that its predecessor had; null when it can.</summary>
    public string? RefusePowerOn(PowerOnCpus cpus)
    {
        foreach ((int cpu, string id) in Plugged)
        {
            string? why = cpu >= cpus.Possible ? $", correct range 0:{cpus.Possible - 1}"
                : Missing.Contains(cpu) ? null
                : cpus.AdminOf(cpu) == CpuAdminState.Enabled ? ", which is enabled without it"
                : cpus.AdminOf(cpu) == CpuAdminState.Disabled ? ", which is there without it"
                : null;
            if (why != null)
            {
                return $"the saved state has a CPU '{id}' with core-id {cpu}{why}; start with the -smp of that time";
            }
        }

        foreach (int cpu in Missing.Where(cpu => cpu < cpus.Possible && cpus.IsFixed(cpu)))
        {
            return $"the saved state has CPU {cpu} unplugged, which this machine has for good; start with the -smp and -machine of that "
                + $"time";
        }

        foreach ((int cpu, CpuAdminState state) in Admin.Where(a => !Plugged.ContainsKey(a.Key)))
        {
            string? why = cpu >= cpus.Possible || cpus.AdminOf(cpu) == CpuAdminState.Removed ? "does not have"
                : cpus.IsFixed(cpu) ? "has enabled for good"
                : null;
            if (why != null)
            {
                return $"the saved state has CPU {cpu} {state.ToString().ToLowerInvariant()}, which this machine {why}; start with the "
                    + $"-smp and -machine of that time";
            }
        }

        return null;
    }

    /// <summary>A name of anybody's as an answer may hold it: of bounded length and without control characters.</summary>
    public static string Legible(string? id) =>
        IsIdentifier(id) ? id : string.Concat((id ?? "").Where(c => c is >= ' ' and <= '~').Take(LongestId));

    // As QEMU has it: letters, digits, '-', '.', '_', starting with a letter.
    private static bool IsIdentifier([NotNullWhen(true)] string? id) =>
        id is { Length: > 0 and <= LongestId } && char.IsAsciiLetter(id[0])
            && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_');

    /// <summary>What the guest's _OST means; null when it means nothing to a pending request, or not the end of one.</summary>
    public IHotplugEvent? DecideOst(int cpu, int source, int status, long now)
    {
        if (!Pending.TryGetValue(cpu, out PendingOperation? pending))
        {
            return null;
        }

        return pending.Comes switch
        {
            true when source is not (SourceDeviceCheck or SourceInsertion) => null,
            true when status == StatusSuccess => new PlugConfirmed(pending.Id, cpu, now),
            true => new PlugRefused(pending.Id, cpu, status, now),
            false when source is not (SourceEjectRequest or SourceOspmEject) => null,
            false when status is StatusSuccess or StatusEjectionInProgress => null,
            false => new UnplugRefused(pending.Id, cpu, status, now),
        };
    }

    /// <summary>What it means that a CPU has left; null for one that was taken out at power-on, because it is not enabled.</summary>
    public IHotplugEvent? DecideLeft(int cpu, PowerOnCpus cpus, long now)
    {
        string name = NameOf(cpu);
        if (Pending.TryGetValue(cpu, out PendingOperation? pending) && !pending.Comes)
        {
            return pending.Operation == HotplugOperation.Disable ? new DisableCompleted(name, cpu, now) : new UnplugCompleted(name, cpu, now);
        }

        // The guest gave it back without having been asked.
        return AdminOf(cpu, cpus) != CpuAdminState.Enabled ? null
            : Plugged.ContainsKey(cpu) ? new UnplugCompleted(name, cpu, now)
            : new DisableCompleted(name, cpu, now);
    }

    /// <summary>The state after an event.</summary>
    /// <exception cref="ArgumentException">It cannot happen in this state.</exception>
    public HotplugState Apply(IHotplugEvent happened) => happened switch
    {
        PlugStarted e => Begin(e, HotplugOperation.Plug) with { Plugged = Plugged.SetItem(e.Cpu, e.Id), Admin = Admin.Remove(e.Cpu) },
        UnplugStarted e => Begin(e, HotplugOperation.Unplug),
        EnableStarted e => Begin(e, HotplugOperation.Enable) with { Admin = Admin.SetItem(e.Cpu, CpuAdminState.Enabled) },
        DisableStarted e => Begin(e, HotplugOperation.Disable),
        PlugConfirmed e => this with { Pending = Pending.Remove(e.Cpu) },
        PlugRefused e => this with { Pending = Pending.Remove(e.Cpu) },
        UnplugRefused e => this with { Pending = Pending.Remove(e.Cpu) },
        HotplugCancelled e => this with { Pending = Pending.Remove(e.Cpu) },
        HotplugTimedOut e when Pending.TryGetValue(e.Cpu, out PendingOperation? late) =>
            this with { Pending = Pending.SetItem(e.Cpu, late with { TimedOut = true }) },
        DisableCompleted e => this with { Pending = Pending.Remove(e.Cpu), Admin = Admin.SetItem(e.Cpu, CpuAdminState.Disabled) },

        UnplugCompleted e => new HotplugState(
            Plugged.Remove(e.Cpu), Pending.Remove(e.Cpu), Admin.Remove(e.Cpu), Plugged.ContainsKey(e.Cpu) ? Missing : Missing.Add(e.Cpu)),
        _ => throw new ArgumentException($"{happened.GetType().Name} of CPU {happened.Cpu} cannot happen", nameof(happened)),
    };

    /// <summary>The state after events.</summary>
    /// <exception cref="ArgumentException">One cannot happen.</exception>
    public HotplugState Apply(IEnumerable<IHotplugEvent> happened) => happened.Aggregate(this, (state, e) => state.Apply(e));

    private HotplugState Begin(IHotplugEvent started, HotplugOperation operation) =>
        this with { Pending = Pending.SetItem(started.Cpu, new PendingOperation(started.Id, operation, started.At, TimedOut: false)) };

    /// <summary>What a requester is told of an event, from the state before it; null for the beginnings.</summary>
    public HotplugOutcome? OutcomeOf(IHotplugEvent happened) => happened switch
    {
        PlugConfirmed e => Outcome(e, HotplugOperation.Plug, HotplugOutcomeKind.Done),
        PlugRefused e => Outcome(e, HotplugOperation.Plug, HotplugOutcomeKind.Refused, e.OstStatus),
        UnplugRefused e => Outcome(e, HotplugOperation.Unplug, HotplugOutcomeKind.Refused, e.OstStatus),
        UnplugCompleted e => new HotplugOutcome(e.Id, e.Cpu, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0),
        DisableCompleted e => new HotplugOutcome(e.Id, e.Cpu, HotplugOperation.Disable, HotplugOutcomeKind.Done, 0),
        HotplugTimedOut e => Outcome(e, Pending[e.Cpu].Operation, HotplugOutcomeKind.TimedOut),
        HotplugCancelled e => Outcome(e, Pending[e.Cpu].Operation, HotplugOutcomeKind.Cancelled),
        _ => null,
    };

    // The events that end a request are the same for a plug and an enabling, an unplug and a disabling: what is pending tells them apart.
    private HotplugOutcome Outcome(IHotplugEvent ended, HotplugOperation otherwise, HotplugOutcomeKind kind, int ostStatus = 0) =>
        new(ended.Id, ended.Cpu, Pending.GetValueOrDefault(ended.Cpu)?.Operation ?? otherwise, kind, ostStatus);
}
