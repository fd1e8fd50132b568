using Vmm.Emulation.State;

namespace Vmm.Emulation.Cpu;

/// <content>Saved state. Caches, translations and debug's single steps are made anew.</content>
public sealed unsafe partial class VcpuCore : IStateUnit
{
    // The first versions of the schema with the keys of pointer authentication, and with DISR_EL1.
    private const int WithPointerKeys = 2;
    private const int WithDeferredError = 3;

    public string Id => Index.ToString();

    public int SchemaVersion => WithDeferredError;

    /// <summary>Saves the state, and whether the CPU is enabled: <see cref="Load"/> enables or disables it.</summary>
    public void Save(StateWriter writer)
    {
        CpuState* s = _state;
        writer.Write("enabled", (byte)(IsEnabled ? 1 : 0));
        writer.Write("instructions", InstructionCount);
        SavedRegisters.EachArray(s, (name, values) => writer.Write(name, (ReadOnlySpan<ulong>)values));
        writer.Write("pointer-keys", new ReadOnlySpan<ulong>(s->PointerKeys, CpuState.PointerKeyWords));
        writer.Write("disr_el1", s->DisrEl1);
        writer.Write("exclusive-size", s->ExclusiveSize);
        writer.Write("event-register", s->EventRegister);
        writer.Write("step-syndrome", _stepSyndrome);
        SavedRegisters.Each(s, (string name, ref ulong value) => writer.Write(name, value));
        SavedRegisters.Each32(s, (string name, ref uint value) => writer.Write(name, value));
        Scalable?.Save(writer, s);
    }

    public void Load(StateReader reader)
    {
        CpuState* s = _state;
        bool enabled = reader.Read<byte>("enabled") != 0;
        InstructionCount = reader.Read<long>("instructions");
        SavedRegisters.EachArray(s, (name, values) => reader.Read(name, values));
        reader.Require(s->X[CpuState.Zr] == 0, "x");
        var keys = new Span<ulong>(s->PointerKeys, CpuState.PointerKeyWords);
        keys.Clear();
        if (reader.Version >= WithPointerKeys)
        {
            reader.Read("pointer-keys", keys);
        }

        s->DisrEl1 = reader.Version >= WithDeferredError ? reader.Read<ulong>("disr_el1") : 0;
        s->ExclusiveSize = reader.Read<int>("exclusive-size");
        reader.Require(s->ExclusiveSize is 0 or 1 or 2 or 4 or 8 or 16, "exclusive-size");
        s->EventRegister = reader.Read<int>("event-register");
        _stepSyndrome = reader.Read<uint>("step-syndrome");
        SavedRegisters.Each(s, (string name, ref ulong value) => value = reader.Read<ulong>(name));
        SavedRegisters.Each32(s, (string name, ref uint value) => value = reader.Read<uint>(name));
        Scalable?.Load(reader, s);
        reader.Require((s->Nzcv & ~Cpu.Pstate.NzcvMask) == 0 && Cpu.Pstate.ExceptionLevel(s->Pstate) <= 1, "pstate");
        s->BroadcastOpen = 0;
        s->Remaining = _budget = 0;
        if (enabled)
        {
            Enable();
            StateReplaced();
        }
        else
        {
            Disable();
        }

        // An input that is asserted may be one that is to be taken.
        Interrupts.Note(AttentionBits.Interrupts);
    }
}
