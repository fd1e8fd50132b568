using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Vmm.Actors.Protocol;

namespace Vmm.Actors.Hotplug;

/// <summary>A request that the guest has not answered.</summary>
/// <param name="StartedAt">UTC milliseconds since 1970.</param>
/// <param name="TimedOut">Whether it was reported as timed out. A late answer still completes it, and it may be asked for again.</param>
public sealed record PendingOperation(string Id, HotplugOperation Operation, long StartedAt, bool TimedOut)
{
    /// <summary>Whether the guest gets the CPU (true), or is to give it back (false).</summary>
    public bool Comes => Operation.Comes();
}

/// <summary>
/// The state of all CPUs for the coordinator, and the rules for it. All rules are pure functions: from a state and a command, or an answer
/// of the guest, to an event, and from a state and an event to the next state.
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
/// <param name="Missing">CPUs that were there at power-on and were unplugged since. A plug can bring them back.</param>
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

    // A CPU to which the user gave no name is called by its number.
    private const string NumberPrefix = "cpu-";

    /// <summary>The longest name that a CPU may have, in characters.</summary>
    public const int LongestId = 128;

    public static readonly HotplugState Empty = new(
        ImmutableSortedDictionary<int, string>.Empty,
        ImmutableSortedDictionary<int, PendingOperation>.Empty,
        ImmutableSortedDictionary<int, CpuAdminState>.Empty,
        ImmutableSortedSet<int>.Empty);

    /// <summary>The administrative state of a CPU. A CPU that is leaving is enabled until it has left.</summary>
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
        var admin = new CpuAdminState[cpus.Possible];
        string[] ids = new string[cpus.Possible];
        for (int cpu = 0; cpu < cpus.Possible; cpu++)
        {
            admin[cpu] = AdminOf(cpu, cpus);
            ids[cpu] = admin[cpu] == CpuAdminState.Removed ? "" : NameOf(cpu);
        }

        return new DescribeCpusPower(ids, admin);
    }

    /// <summary>Decides whether a CPU can be plugged: returns why not, or null if it can.</summary>
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

    // Whether this is the same plug as one that the guest has not answered in time.
    private bool IsPlugAskedAgain(PlugVcpu plug) =>
        Pending.TryGetValue(plug.Cpu, out PendingOperation? pending) && pending is { Operation: HotplugOperation.Plug, TimedOut: true }
            && pending.Id == plug.Id;

    /// <summary>Decides whether a CPU can be unplugged: returns why not, or null if it can.</summary>
    /// <param name="cpu">The CPU of that name; -1 if there is none.</param>
    public Rejection? RefuseUnplug(UnplugVcpu unplug, PowerOnCpus cpus, out int cpu)
    {
        cpu = Find(unplug.Id, cpus) ?? -1;
        return cpu < 0 ? new Rejection(RejectionCode.DeviceNotFound, $"Device '{Legible(unplug.Id)}' not found")
            : cpu == 0 ? new Rejection(RejectionCode.CannotLeave, $"Boot CPU({cpus.PlaceOf(0)}) hot-unplug not supported")
            : RefuseLeaving(cpu, cpus);
    }

    /// <summary>
    /// Decides whether a CPU can be enabled or disabled: returns why not, in the words of QEMU's series, or null if it can.
    /// </summary>
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

    // The guest may still give the CPU back, even after a time-out. If it were enabled meanwhile, nobody could say which of the two counts.
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

    /// <summary>The rejection of a request about a CPU that is on its way out, in QEMU's words.</summary>
    public Rejection AlreadyLeaving(int cpu) => new(RejectionCode.InProgress, $"Device {NameOf(cpu)} is already in the process of unplug");

    private static Rejection OutOfRange(int cpu, PowerOnCpus cpus) =>
        new(RejectionCode.InvalidArgument, $"Invalid core-id {cpu} specified, correct range 0:{cpus.Possible - 1}");

    // Finds a CPU by its name: first the plugged ones, then the others that are there.
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
    /// The events of a power-on: CPUs that the machine is made with, and that the state does not have from an earlier run, are plugged.
    /// </summary>
    /// <param name="refusal">Why the machine cannot have both these CPUs and those of the earlier run; null if it can.</param>
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

    /// <summary>Decides whether the machine can have the CPUs of an earlier run: returns why not, or null if it can.</summary>
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

    /// <summary>
    /// Decides whether a machine can begin with this state of an earlier run only to take another state in its place: returns why not, or
    /// null if it can.
    /// </summary>
    public string? RefuseReplacing(PowerOnCpus cpus) =>
        Plugged.Keys.Concat(Missing).Concat(Admin.Keys).Where(cpu => cpu >= cpus.Possible).ToArray() is [int cpu, ..]
            ? $"the saved state has a CPU with core-id {cpu}, correct range 0:{cpus.Possible - 1}; start with the -smp of that time"
            : null;

    /// <summary>A name that somebody has sent, made fit for an answer: of bounded length and without control characters.</summary>
    public static string Legible(string? id) =>
        IsIdentifier(id) ? id : string.Concat((id ?? "").Where(c => c is >= ' ' and <= '~').Take(LongestId));

    // QEMU's rule for identifiers: letters, digits, '-', '.' and '_', a letter first.
    internal static bool IsIdentifier([NotNullWhen(true)] string? id) =>
        id is { Length: > 0 and <= LongestId } && char.IsAsciiLetter(id[0])
            && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_');

    /// <summary>
    /// The event that the guest's _OST amounts to; null if no request is pending that it answers, or if it is not the last answer.
    /// </summary>
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

    /// <summary>The event of a CPU that has left; null for a CPU that was taken out at power-on because it is disabled.</summary>
    public IHotplugEvent? DecideLeft(int cpu, PowerOnCpus cpus, long now)
    {
        string name = NameOf(cpu);
        if (Pending.TryGetValue(cpu, out PendingOperation? pending) && !pending.Comes)
        {
            return pending.Operation == HotplugOperation.Disable
                ? new DisableCompleted(name, cpu, now)
                : new UnplugCompleted(name, cpu, now);
        }

        // The guest gave the CPU back without a request.
        return AdminOf(cpu, cpus) != CpuAdminState.Enabled ? null
            : Plugged.ContainsKey(cpu) ? new UnplugCompleted(name, cpu, now)
            : new DisableCompleted(name, cpu, now);
    }

    /// <summary>The state after an event.</summary>
    /// <exception cref="ArgumentException">The event cannot happen in this state.</exception>
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
        CpuRestored e => Restore(e),
        DisableCompleted e => this with { Pending = Pending.Remove(e.Cpu), Admin = Admin.SetItem(e.Cpu, CpuAdminState.Disabled) },

        UnplugCompleted e => new HotplugState(
            Plugged.Remove(e.Cpu), Pending.Remove(e.Cpu), Admin.Remove(e.Cpu), Plugged.ContainsKey(e.Cpu) ? Missing : Missing.Add(e.Cpu)),
        _ => throw new ArgumentException($"{happened.GetType().Name} of CPU {happened.Cpu} cannot happen", nameof(happened)),
    };

    /// <summary>The state after events.</summary>
    /// <exception cref="ArgumentException">One of them cannot happen.</exception>
    public HotplugState Apply(IEnumerable<IHotplugEvent> happened) => happened.Aggregate(this, (state, e) => state.Apply(e));

    /// <summary>What happens when a machine goes on from a snapshot: an event for each CPU that was otherwise there.</summary>
    /// <param name="saved">The snapshot's.</param>
    /// <param name="cpus">How many are possible.</param>
    internal IEnumerable<IHotplugEvent> Restore(HotplugState saved, int cpus, long now)
    {
        for (int cpu = 0; cpu < cpus; cpu++)
        {
            CpuRestored then = saved.Describe(cpu, now);
            if (Describe(cpu, now) != then)
            {
                yield return then;
            }
        }
    }

    private CpuRestored Describe(int cpu, long now)
    {
        PendingOperation? pending = Pending.GetValueOrDefault(cpu);
        bool hasAdmin = Admin.TryGetValue(cpu, out CpuAdminState admin);
        return new CpuRestored(NameOf(cpu), cpu, Plugged.ContainsKey(cpu), Missing.Contains(cpu), hasAdmin, admin,
            pending != null, pending?.Operation ?? HotplugOperation.Plug, now);
    }

    private HotplugState Restore(CpuRestored e) => new(
        e.Plugged ? Plugged.SetItem(e.Cpu, e.Id) : Plugged.Remove(e.Cpu),
        e.Pending ? Pending.SetItem(e.Cpu, new PendingOperation(e.Id, e.Operation, e.At, TimedOut: false)) : Pending.Remove(e.Cpu),
        e.HasAdmin ? Admin.SetItem(e.Cpu, e.Admin) : Admin.Remove(e.Cpu),
        e.Missing ? Missing.Add(e.Cpu) : Missing.Remove(e.Cpu));

    private HotplugState Begin(IHotplugEvent started, HotplugOperation operation) =>
        this with { Pending = Pending.SetItem(started.Cpu, new PendingOperation(started.Id, operation, started.At, TimedOut: false)) };

    /// <summary>
    /// The outcome that an event is for whoever asked, from the state before it; null for an event that begins a request.
    /// </summary>
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
