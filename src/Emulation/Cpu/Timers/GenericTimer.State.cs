using Vmm.Emulation.State;

namespace Vmm.Emulation.Cpu.Timers;

/// <content>Saved state. The clock is loaded before, so that what is due at its count is raised at once.</content>
public sealed partial class GenericTimer
{
    /// <summary>The unit of the timers of one CPU.</summary>
    public IStateUnit StateUnitOf(CpuIndex cpu) => new Unit(this, $"timers-{cpu}");

    private sealed class Unit(GenericTimer timer, string id) : IStateUnit
    {
        public string Id => id;

        public void Save(StateWriter writer)
        {
            timer.Physical.Save(writer, "physical");
            timer.Virtual.Save(writer, "virtual");
        }

        public void Load(StateReader reader)
        {
            timer.Physical.Load(reader, "physical");
            timer.Virtual.Load(reader, "virtual");
        }
    }
}

/// <content>Saved state.</content>
public sealed partial class TimerChannel
{
    internal void Save(StateWriter writer, string name) => writer.Write<ulong>(name, [_control, _compare]);

    internal void Load(StateReader reader, string name)
    {
        Span<ulong> fields = stackalloc ulong[2];
        reader.Read(name, fields);
        CompareValue = fields[1];
        Control = fields[0];
    }
}
