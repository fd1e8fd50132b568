namespace Vmm.Emulation.Interrupts;

/// <summary>
/// Tells an actor that its device core has work. Rings are merged: until the actor calls <see cref="Acknowledge"/>, further rings cost one
/// atomic read and tell nothing more. A ring before the actor connects is kept.
/// </summary>
public sealed class Doorbell
{
    private Action? _listener;
    private int _rung;

    /// <summary>Tells the listener once that there is work. The listener finds the work in the core. Any thread.</summary>
    public void Ring()
    {
        if (Volatile.Read(ref _rung) == 0 && Interlocked.Exchange(ref _rung, 1) == 0)
        {
            Volatile.Read(ref _listener)?.Invoke();
        }
    }

    /// <summary>
    /// Notes that the actor has been told. It must be called before the actor looks for work, so that a ring during the look is not lost.
    /// </summary>
    public void Acknowledge() => Interlocked.Exchange(ref _rung, 0);

    /// <param name="listener">Tells the actor; must not block and must not call back into the core. Null disconnects.</param>
    public void Connect(Action? listener)
    {
        Volatile.Write(ref _listener, listener);
        if (listener != null && Volatile.Read(ref _rung) != 0)
        {
            listener();
        }
    }
}
