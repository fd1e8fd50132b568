using Vmm.Emulation.Memory;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Tests.Devices;

/// <summary>What every device core must do, whatever it is.</summary>
public abstract class DeviceFixture
{
    /// <summary>A new device in its state after power-on.</summary>
    internal abstract Subject Create();

    /// <summary>Guest and host actions after which the state is far from that at reset.</summary>
    internal abstract void Disturb(Subject subject);

    internal sealed record Subject(IStateUnit Unit, IMmioDevice[] Frames, ulong[] FrameSizes, Action Reset, object Device);

    [Fact]
    public void Device_reset_after_use_reads_as_at_power_on()
    {
        Subject used = Create();
        byte[] initial = Save(used);
        Disturb(used);
        Assert.NotEqual(initial, Save(used));

        used.Reset();

        Assert.Equal(Registers(Create()), Registers(used));
    }

    [Fact]
    public void Device_loaded_from_a_snapshot_has_the_same_state_and_registers()
    {
        Subject saved = Create();
        Disturb(saved);
        byte[] snapshot = Save(saved);
        Subject loaded = Create();

        Archive.Load(new MemoryStream(snapshot), [loaded.Unit]);

        Assert.Equal(snapshot, Save(loaded));
        Assert.Equal(Registers(saved), Registers(loaded));
    }

    [Fact]
    public void Device_access_of_any_size_anywhere_returns_no_more_than_was_asked_for()
    {
        Subject subject = Create();
        Disturb(subject);
        for (int frame = 0; frame < subject.Frames.Length; frame++)
        {
            foreach (int size in (int[])[1, 2, 4, 8])
            {
                for (ulong offset = 0; offset + (ulong)size <= subject.FrameSizes[frame]; offset++)
                {
                    ulong value = subject.Frames[frame].Read(offset, size);
                    Assert.True(size == 8 || value >> (size * 8) == 0, $"offset 0x{offset:x} size {size}: 0x{value:x}");
                }
            }
        }
    }

    [Fact]
    public void Device_under_garbage_writes_keeps_a_state_that_can_be_saved_and_loaded()
    {
        Subject subject = Create();
        var random = new Random(20261123);
        for (int i = 0; i < 20_000; i++)
        {
            int frame = random.Next(subject.Frames.Length);
            int size = Math.Min(1 << random.Next(4), (int)subject.FrameSizes[frame]);
            ulong offset = (ulong)random.NextInt64((long)subject.FrameSizes[frame] - size + 1);
            offset = random.Next(4) == 0 ? offset : offset & ~(ulong)(size - 1);
            subject.Frames[frame].Write(offset, size, (ulong)random.NextInt64(long.MinValue, long.MaxValue));
            subject.Frames[frame].Read(offset, size);
        }

        byte[] snapshot = Save(subject);
        Subject loaded = Create();
        Archive.Load(new MemoryStream(snapshot), [loaded.Unit]);
        Assert.Equal(snapshot, Save(loaded));
    }

    internal static byte[] Save(Subject subject)
    {
        using var stream = new MemoryStream();
        Archive.Save(stream, [subject.Unit]);
        return stream.ToArray();
    }

    private static List<ulong> Registers(Subject subject)
    {
        var values = new List<ulong>();
        for (int frame = 0; frame < subject.Frames.Length; frame++)
        {
            for (ulong offset = 0; offset + 4 <= subject.FrameSizes[frame]; offset += 4)
            {
                values.Add(subject.Frames[frame].Read(offset, 4));
            }
        }

        return values;
    }
}

/// <summary>Several units of state as one: a subject has room for one.</summary>
internal sealed class AllUnits(IReadOnlyList<IStateUnit> units) : IStateUnit
{
    public string Id => "all";

    public int SchemaVersion => units.Max(unit => unit.SchemaVersion);

    public void Save(StateWriter writer)
    {
        foreach (IStateUnit unit in units)
        {
            unit.Save(writer);
        }
    }

    public void Load(StateReader reader)
    {
        foreach (IStateUnit unit in units)
        {
            unit.Load(reader);
        }
    }
}
