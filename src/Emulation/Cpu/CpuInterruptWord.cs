using Vmm.Emulation.Interrupts;

namespace Vmm.Emulation.Cpu;

/// <summary>
/// The place where other threads reach a vCPU: its interrupt inputs, the request to leave the run loop, and the parking state.
/// <para>
/// Ordering: a raiser publishes what happened (input, then attention, both full fences) and then tries Parked → Runnable; the
/// parker publishes Parked, fences, and looks again at what happened. Whichever comes second sees the other, so no wake-up is lost.
/// </para>
/// </summary>
public sealed unsafe class CpuInterruptWord(CpuState* state) : ICpuInputs
{
    public const int Irq = ICpuInputs.Irq;
    public const int Fiq = ICpuInputs.Fiq;

    private const int Runnable = 0;
    private const int Parked = 1;

    private int _parking;
    private IVcpuWaker? _waker;

    /// <summary>
    /// The inputs that are asserted now: <see cref="Irq"/> | <see cref="Fiq"/>, masked by PSTATE or not. The GIC writes them under the lock
    /// of this CPU's interface.
    /// </summary>
    public int Inputs => Volatile.Read(ref state->InterruptInputs);

    /// <summary>Sets the actor to wake. The vCPU's actor sets it before the vCPU first runs, and clears it when it stops.</summary>
    public void SetWaker(IVcpuWaker? waker) => Volatile.Write(ref _waker, waker);

    /// <summary>Drives the input <see cref="Irq"/> or <see cref="Fiq"/>. Any thread; a lock of the GIC may be held.</summary>
    public void SetInput(int input, bool level)
    {
        if (!level)
        {
            Interlocked.And(ref state->InterruptInputs, ~input);
            return;
        }

        if ((Interlocked.Or(ref state->InterruptInputs, input) & input) == 0)
        {
            Raise(AttentionBits.Interrupts);
        }
    }

    /// <summary>Sets attention bits and wakes the vCPU if it is parked. Any thread.</summary>
    public void Raise(AttentionBits bits)
    {
        Interlocked.Or(ref state->Attention, (int)bits);
        if (Volatile.Read(ref _parking) == Parked && Interlocked.CompareExchange(ref _parking, Runnable, Parked) == Parked)
        {
            Volatile.Read(ref _waker)?.Wake();
        }
    }

    /// <summary>Sets attention bits without waking: work that a parked vCPU may do when it next runs. Any thread.</summary>
    public void Note(AttentionBits bits) => Interlocked.Or(ref state->Attention, (int)bits);

    /// <summary>Takes attention bits down before their work is looked at. Owner only. Returns those that were set.</summary>
    public AttentionBits Take(AttentionBits bits) => (AttentionBits)Interlocked.And(ref state->Attention, ~(int)bits) & bits;

    /// <summary>Whether WFI has something to return for: an input, masked or not, or a request to leave.</summary>
    public bool HasWakeup => Inputs != 0 || ((AttentionBits)Volatile.Read(ref state->Attention) & AttentionBits.Exit) != 0;

    /// <summary>
    /// Owner only. True: parked, and exactly one <see cref="IVcpuWaker.Wake"/> comes when there is a wake-up. False: there is one already.
    /// </summary>
    public bool TryPark()
    {
        Interlocked.Exchange(ref _parking, Parked);
        return !HasWakeup || Interlocked.CompareExchange(ref _parking, Runnable, Parked) != Parked;
    }

    /// <summary>Ends parking for another reason than a wake-up (power-off, reset). Owner only.</summary>
    public void Unpark() => Interlocked.Exchange(ref _parking, Runnable);

    public bool IsParked => Volatile.Read(ref _parking) == Parked;
}
