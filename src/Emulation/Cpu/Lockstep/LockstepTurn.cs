using System.Diagnostics;

namespace Vmm.Emulation.Cpu.Lockstep;

/// <summary>
/// The turn of a machine in lockstep: the one vCPU that has it executes, and the others wait. So nobody else writes guest memory while two
/// engines are compared. The holder waits for nothing but short locks of devices. A DSB waits for other vCPUs, so it gives the turn back
/// meanwhile.
/// <para>Any thread takes the turn with a compare-and-exchange. Waking a thread takes long on a busy host, so the holder offers the turn
/// only while another thread spins for it, and otherwise goes on. A thread that has slept for long gets a longer offer, in which it can
/// wake.</para>
/// </summary>
internal sealed class LockstepTurn
{
    // Both are numbers of runs of translated code. They take about 50 µs and some milliseconds.
    private const int RunsPerTurn = 50;
    private const int Patience = 5000;

    private static readonly long s_look = Stopwatch.Frequency / 5_000;
    private static readonly long s_offer = Stopwatch.Frequency / 100_000;
    private static readonly long s_longOffer = Stopwatch.Frequency / 100;

    private int _taken;

    // The number of threads that want the turn, and the number of those that spin for it right now. Any thread, interlocked.
    private int _waiting;
    private int _looking;

    // The holder's runs since it took the turn, and since it last offered it. Owner: the holder.
    private int _runs;
    private int _runsSinceOffer;

    /// <summary>Waits for the turn.</summary>
    public void Take()
    {
        if (!TryTake())
        {
            Interlocked.Increment(ref _waiting);
            while (!Look())
            {
                Thread.Sleep(1);
            }

            Interlocked.Decrement(ref _waiting);
        }

        _runs = _runsSinceOffer = 0;
    }

    public void Give() => Volatile.Write(ref _taken, 0);

    /// <summary>After a run of translated code: offers the turn to others now and then.</summary>
    public void Pass()
    {
        _runs++;
        if (++_runsSinceOffer < RunsPerTurn)
        {
            return;
        }

        _runsSinceOffer = 0;
        if (_runs > Patience && Volatile.Read(ref _waiting) > 0)
        {
            Offer(s_longOffer);
        }
        else if (Volatile.Read(ref _looking) > 0)
        {
            Offer(s_offer);
        }
    }

    private void Offer(long time)
    {
        long start = Stopwatch.GetTimestamp();
        Give();
        while (Volatile.Read(ref _taken) == 0 && Stopwatch.GetTimestamp() - start < time)
        {
            Thread.Yield();
        }

        Take();
    }

    private bool Look()
    {
        Interlocked.Increment(ref _looking);
        long start = Stopwatch.GetTimestamp();
        bool taken;
        while (!(taken = TryTake()) && Stopwatch.GetTimestamp() - start < s_look)
        {
            Thread.SpinWait(10);
        }

        Interlocked.Decrement(ref _looking);
        return taken;
    }

    private bool TryTake() => Volatile.Read(ref _taken) == 0 && Interlocked.CompareExchange(ref _taken, 1, 0) == 0;
}
