using System.Collections.Immutable;
using System.Text;
using Vmm.Actors.Hotplug;
using Vmm.Actors.Protocol;
using Vmm.Emulation.State;

namespace Vmm.Actors.Snapshots;

/// <summary>The saved state of the hotplug coordinator: where each possible CPU stands, and what the guest said last of it.</summary>
internal sealed class HotplugUnit : IStateUnit
{
    private const byte Plugged = 1;
    private const byte HasAdmin = 2;
    private const byte Missing = 4;
    private const byte Pending = 8;
    private const byte PendingLate = 16;

    /// <param name="state">What to save; what is loaded replaces it.</param>
    /// <param name="lastOst">The same.</param>
    public HotplugUnit(HotplugState state, LastOst lastOst)
    {
        State = state;
        LastOst = lastOst;
    }

    /// <summary>For loading: of a machine of so many possible CPUs.</summary>
    public HotplugUnit(int cpus)
        : this(HotplugState.Empty, new LastOst(cpus))
    {
    }

    public string Id => "hotplug";

    public HotplugState State { get; private set; }

    public LastOst LastOst { get; }

    public void Save(StateWriter writer)
    {
        int cpus = LastOst.Sources.Length;
        byte[] flags = new byte[cpus];
        byte[] admin = new byte[cpus];
        byte[] operations = new byte[cpus];
        long[] started = new long[cpus];
        ushort[] lengths = new ushort[cpus];
        var names = new StringBuilder();
        for (int cpu = 0; cpu < cpus; cpu++)
        {
            PendingOperation? pending = State.Pending.GetValueOrDefault(cpu);
            bool hasAdmin = State.Admin.TryGetValue(cpu, out CpuAdminState state);
            string name = State.Plugged.GetValueOrDefault(cpu, "");
            flags[cpu] = (byte)((State.Plugged.ContainsKey(cpu) ? Plugged : 0) | (hasAdmin ? HasAdmin : 0)
                | (State.Missing.Contains(cpu) ? Missing : 0)
                | (pending == null ? 0 : Pending | (pending.TimedOut ? PendingLate : 0)));
            operations[cpu] = (byte)(pending?.Operation ?? default);
            admin[cpu] = (byte)state;
            started[cpu] = pending?.StartedAt ?? 0;
            lengths[cpu] = (ushort)name.Length;
            names.Append(name);
        }

        writer.Write<byte>("flags", flags);
        writer.Write<byte>("admin", admin);
        writer.Write<byte>("operation", operations);
        writer.Write<long>("started", started);
        writer.Write<ushort>("name-lengths", lengths);
        writer.Write<byte>("names", Encoding.ASCII.GetBytes(names.ToString()));
        writer.Write<int>("ost-source", LastOst.Sources);
        writer.Write<int>("ost-status", LastOst.Statuses);
    }

    public void Load(StateReader reader)
    {
        int cpus = LastOst.Sources.Length;
        byte[] flags = new byte[cpus];
        byte[] admin = new byte[cpus];
        byte[] operations = new byte[cpus];
        long[] started = new long[cpus];
        ushort[] lengths = new ushort[cpus];
        int[] sources = new int[cpus];
        int[] statuses = new int[cpus];
        reader.Read("flags", flags.AsSpan());
        reader.Read("admin", admin.AsSpan());
        reader.Read("operation", operations.AsSpan());
        reader.Read("started", started.AsSpan());
        reader.Read("name-lengths", lengths.AsSpan());
        reader.Read("ost-source", sources.AsSpan());
        reader.Read("ost-status", statuses.AsSpan());
        byte[] names = reader.ReadArray<byte>("names", cpus * HotplugState.LongestId);
        int length = 0;
        foreach (ushort l in lengths)
        {
            length += l;
        }

        reader.Require(length == names.Length, "name-lengths");
        reader.Require(Array.TrueForAll(admin, a => a <= (byte)CpuAdminState.Removed), "admin");
        HotplugState state = HotplugState.Empty;
        reader.Require(Array.TrueForAll(operations, o => o <= (byte)HotplugOperation.Disable), "operation");
        var ids = new HashSet<string>(StringComparer.Ordinal);
        int at = 0;
        for (int cpu = 0; cpu < cpus; cpu++)
        {
            byte flag = flags[cpu];
            string name = Encoding.ASCII.GetString(names, at, lengths[cpu]);
            at += lengths[cpu];
            bool plugged = (flag & Plugged) != 0;
            reader.Require(plugged ? HotplugState.IsIdentifier(name) && ids.Add(name) : name.Length == 0, "names");
            state = state with
            {
                Plugged = plugged ? state.Plugged.SetItem(cpu, name) : state.Plugged,
                Admin = (flag & HasAdmin) != 0 ? state.Admin.SetItem(cpu, (CpuAdminState)admin[cpu]) : state.Admin,
                Missing = (flag & Missing) != 0 ? state.Missing.Add(cpu) : state.Missing,
            };
            if ((flag & Pending) != 0)
            {
                state = state with
                {
                    Pending = state.Pending.SetItem(cpu, new PendingOperation(
                        state.NameOf(cpu), (HotplugOperation)operations[cpu], started[cpu], (flag & PendingLate) != 0)),
                };
            }

            LastOst.Note(cpu, sources[cpu], statuses[cpu]);
        }

        State = state;
    }
}
