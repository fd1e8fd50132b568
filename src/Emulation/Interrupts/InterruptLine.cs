namespace Vmm.Emulation.Interrupts;

/// <summary>Where an <see cref="InterruptLine"/> ends: an input of the interrupt controller.</summary>
public interface IInterruptSink
{
    /// <summary>The input changed to <paramref name="level"/>. Called on any thread, without a lock of the sink's held.</summary>
    void SetInput(IntId id, bool level);
}

/// <summary>
/// One wire from a device to the interrupt controller. A device holds lines and never learns interrupt numbers; the machine
/// connects each line once, before anything runs. Calls for one line are serialised by its device's lock.
/// </summary>
public sealed class InterruptLine(IInterruptSink sink, IntId id)
{
    /// <summary>The last level that was set.</summary>
    public bool Level { get; private set; }

    /// <summary>Drives the line. Setting the level that it has is free.</summary>
    public void Set(bool level)
    {
        if (Level != level)
        {
            Level = level;
            sink.SetInput(id, level);
        }
    }

    /// <summary>A rising and a falling edge, for edge-triggered inputs.</summary>
    public void Pulse()
    {
        Set(true);
        Set(false);
    }
}
