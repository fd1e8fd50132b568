using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Memory;

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
    private const int ParkedForPage = 2;

    private int _parking;
    private IVcpuWaker? _waker;

    // The memory and the address whose page the vCPU waits for; null while it waits for none. Owner only.
    private GuestMemory? _awaited;
    private ulong _awaitedAddress;

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
        Wake(Volatile.Read(ref _parking));
    }

    /// <summary>A page has arrived: wakes the vCPU if it is parked for one, so that it looks whether it is its own. Any thread.</summary>
    public void PageArrived()
    {
        if (Volatile.Read(ref _parking) == ParkedForPage)
        {
            Wake(ParkedForPage);
        }
    }

    private void Wake(int parking)
    {
        if (parking != Runnable && Interlocked.CompareExchange(ref _parking, Runnable, parking) == parking)
        {
            Volatile.Read(ref _waker)?.Wake();
        }
    }

    /// <summary>The vCPU is to park until a page of memory has arrived. Owner only.</summary>
    internal void Await(GuestMemory memory, ulong address)
    {
        _awaited = memory;
        _awaitedAddress = address;
    }

    /// <summary>Whether an access was not made, because a page is missing, since the vCPU began to run. Owner only.</summary>
    internal bool AwaitsPage => _awaited != null;

    /// <summary>The vCPU runs again: if it still needs a page, it will find out. Owner only.</summary>
    internal void AwaitNothing() => _awaited = null;

    /// <summary>Sets attention bits without waking: work that a parked vCPU may do when it next runs. Any thread.</summary>
    public void Note(AttentionBits bits) => Interlocked.Or(ref state->Attention, (int)bits);

    /// <summary>Takes attention bits down before their work is looked at. Owner only. Returns those that were set.</summary>
    public AttentionBits Take(AttentionBits bits) => (AttentionBits)Interlocked.And(ref state->Attention, ~(int)bits) & bits;

    /// <summary>
    /// Whether a parked vCPU has something to run for. After WFI that is an input, masked or not; after a missing page it is the page, or
    /// an input that has changed and may be taken meanwhile; always a request to leave. Owner only.
    /// </summary>
    public bool HasWakeup
    {
        get
        {
            var attention = (AttentionBits)Volatile.Read(ref state->Attention);
            return _awaited is { } memory
                ? (attention & (AttentionBits.Exit | AttentionBits.Interrupts)) != 0 || memory.IsThere(_awaitedAddress)
                : (attention & AttentionBits.Exit) != 0 || Inputs != 0;
        }
    }

    /// <summary>
    /// Owner only. True: parked, and exactly one <see cref="IVcpuWaker.Wake"/> comes when there is a wake-up. False: there is one already.
    /// </summary>
    public bool TryPark()
    {
        int parking = _awaited != null ? ParkedForPage : Parked;
        Interlocked.Exchange(ref _parking, parking);
        return !HasWakeup || Interlocked.CompareExchange(ref _parking, Runnable, parking) != parking;
    }

    /// <summary>Ends parking for another reason than a wake-up (power-off, reset). Owner only.</summary>
    public void Unpark() => Interlocked.Exchange(ref _parking, Runnable);

    public bool IsParked => Volatile.Read(ref _parking) != Runnable;
}
