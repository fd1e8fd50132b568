namespace Vmm.Emulation.Interrupts;

/// <summary>The end of an <see cref="InterruptLine"/>: an input of the interrupt controller.</summary>
public interface IInterruptSink
{
    /// <summary>Tells that the input has changed to <paramref name="level"/>. Any thread, which holds no lock of the sink.</summary>
    void SetInput(IntId id, bool level);
}

/// <summary>
/// A wire from a device to the interrupt controller. A device holds lines and never learns interrupt numbers. The board connects each line
/// once, before anything runs. The lock of the device serialises the calls for a line.
/// </summary>
public sealed class InterruptLine(IInterruptSink sink, IntId id)
{
    /// <summary>The last level that was set.</summary>
    public bool Level { get; private set; }

    /// <summary>Sets the level of the line. Setting the present level does nothing.</summary>
    public void Set(bool level)
    {
        if (Level != level)
        {
            Level = level;
            sink.SetInput(id, level);
        }
    }

    /// <summary>Tells the input once more that the line is high, if it is: the input has been given another state.</summary>
    public void DriveAgain()
    {
        if (Level)
        {
            sink.SetInput(id, true);
        }
    }

    /// <summary>Raises and lowers the line, for an edge-triggered input.</summary>
    public void Pulse()
    {
        Set(true);
        Set(false);
    }
}
