using System.Globalization;
using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Nodes;

/// <summary>
/// What there is to see of a VM: what it publishes, and the states of its CPUs, which are looked at while somebody asks. It is the agent's,
/// and its methods are for the agent's messages.
/// </summary>
internal sealed class VmSight(string vm)
{
    // The happenings that are kept.
    private const int Kept = 200;

    // States that were seen longer ago are not compared: when they changed is not known.
    private const long StaleMilliseconds = 2000;

    private readonly Queue<VmHappening> _happened = new();
    private long _last;
    private CpuView[] _cpus = [];
    private long _seenAt;

    /// <summary>The VM's process has answered a look, or there was none.</summary>
    /// <param name="View">Without happenings.</param>
    internal sealed record Looked(IActorRef Asker, long After, VmView View);

    /// <summary>Looks, and has the agent told as <see cref="Looked"/>.</summary>
    /// <param name="instance">Null without a process.</param>
    public void Look(VmInstance? instance, GetVmView get, IActorRef asker, IActorRef agent)
    {
        if (instance == null)
        {
            agent.Tell(new Looked(asker, get.After, Empty(vm)));
            return;
        }

        string name = vm;
        Task.Run(async () => agent.Tell(new Looked(asker, get.After, await LookAsync(name, instance).ConfigureAwait(false))));
    }

    /// <summary>What there is to see of a VM without a process.</summary>
    public static VmView Empty(string vm) => new(vm, Now, [], 0, [], [], null, [], 0);

    /// <summary>Notes what has changed since the last look, and answers.</summary>
    public void Answer(Looked looked) => looked.Asker.Tell(Note(looked.View, looked.After));

    /// <summary>Notes what has changed since the last look; returns the view with the happenings that are asked for.</summary>
    /// <param name="view">Without happenings.</param>
    /// <param name="known">The number of the last happening that is known.</param>
    public VmView Note(VmView view, long known)
    {
        // Looks may end in another order than they began.
        if (view.At >= _seenAt)
        {
            if (view.At - _seenAt < StaleMilliseconds && view.Cpus.Length == _cpus.Length)
            {
                for (int cpu = 0; cpu < _cpus.Length; cpu++)
                {
                    Compare(view.At, cpu, _cpus[cpu], view.Cpus[cpu]);
                }
            }

            (_cpus, _seenAt) = (view.Cpus, view.At);
        }

        // A number of another run of the node is of other happenings.
        long after = known > _last ? 0 : known;
        return view with { Happened = [.. _happened.Where(h => h.Number > after)], Last = _last };
    }

    /// <summary>Notes what the VM has published.</summary>
    public void Add(IProtocolMessage published)
    {
        (int cpu, string? text) = published switch
        {
            HotplugOutcome o => (o.Cpu, $"{Lower(o.Operation)} {InWords(o.Kind)}{(o.Cpu < 0 ? $": {o.Id}" : "")}"),
            AcpiDeviceOst o => (o.Cpu, string.Create(
                CultureInfo.InvariantCulture, $"the guest answers with _OST: source 0x{o.Source:x}, status 0x{o.Status:x}")),
            VmStatus s => (-1, $"the VM is {RunStateNames.Of(s.RunState)}"),
            VmReset r => (-1, r.Guest ? "the guest resets the machine" : "the machine is reset"),
            VmShutdown s => (-1, s.Guest ? "the guest powers off" : "the VM is shut down"),
            PowerButtonPressed => (-1, "the power button is pressed"),
            MigrationChanged m => (-1, $"migration: {Lower(m.Status)}"),
            MigrationPassed p => (-1, string.Create(CultureInfo.InvariantCulture, $"migration: round {p.Pass} begins")),
            _ => (-1, (string?)null),
        };
        if (text != null)
        {
            Add(Now, cpu, text);
        }
    }

    /// <summary>What a VM says of itself now, without happenings.</summary>
    public static async Task<VmView> LookAsync(string vm, IVmLink instance)
    {
        if (await instance.AskAsync(new GetVcpuTimes(), CancellationToken.None).ConfigureAwait(false) is not VcpuTimes times)
        {
            return Empty(vm);
        }

        Task<IProtocolMessage>[] states =
            [.. times.States.Select((_, cpu) => instance.AskAsync(new GetVcpuStatus(cpu), CancellationToken.None))];
        IProtocolMessage migration = await instance.AskAsync(new GetMigration(), CancellationToken.None).ConfigureAwait(false);
        IProtocolMessage[] cpus = await Task.WhenAll(states).ConfigureAwait(false);
        if (!Array.TrueForAll(cpus, c => c is VcpuStatus))
        {
            return Empty(vm);
        }

        return new VmView(
            vm, Now, Array.ConvertAll(cpus, c => ViewOf((VcpuStatus)c)), times.RunNs, times.BusyNs, times.EnabledNs,
            migration is MigrationInfo { Status: not MigrationStatus.None } m
                ? new MigrationView(
                    m.Status, m.Incoming, m.Problem, m.TotalMilliseconds, m.DowntimeMilliseconds, m.Transferred, m.Remaining, m.Total,
                    m.Pass, m.PassPages, m.PassMilliseconds)
                : null,
            [], 0);
    }

    private static long Now => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

    private static string Lower<T>(T name)
        where T : struct, Enum => name.ToString().ToLowerInvariant();

    private static string InWords(HotplugOutcomeKind kind) => kind switch
    {
        HotplugOutcomeKind.Done => "done",
        HotplugOutcomeKind.Refused => "refused by the guest",
        HotplugOutcomeKind.TimedOut => "not answered by the guest yet",
        _ => "cancelled",
    };

    private void Compare(long at, int cpu, CpuView before, CpuView now)
    {
        void Note(bool changed, string text)
        {
            if (changed)
            {
                Add(at, cpu, text);
            }
        }

        Note(before.Admin != now.Admin, $"administrator: {Lower(now.Admin)}");
        Note(before.Acpi != now.Acpi, now.Acpi ? "ACPI: _STA is enabled" : "ACPI: _STA is not enabled");
        Note(before.Gic != now.Gic, now.Gic ? "GIC: CPU interface accessible" : "GIC: CPU interface not accessible");
        Note(before.Psci != now.Psci, $"PSCI: {now.Psci switch
        {
            PsciPowerState.On => "on",
            PsciPowerState.Off => "off",
            _ => "on pending",
        }}");
    }

    private void Add(long at, int cpu, string text)
    {
        _happened.Enqueue(new VmHappening(++_last, at, cpu, text));
        if (_happened.Count > Kept)
        {
            _happened.Dequeue();
        }
    }

    private static CpuView ViewOf(VcpuStatus s) => new(s.Admin, s.AcpiEnabled, s.GicAccessible, s.Psci, s.Actor);
}
