namespace Vmm.Emulation.Block;

/// <summary>
/// The requests under way, by range: one that needs its range for itself waits until the others there have ended, and keeps new ones
/// away. A thread has one range at a time, so none waits for a thread that waits for it. All members under the owner's lock, which a
/// waiting thread gives up meanwhile.
/// </summary>
/// <param name="owner">The object whose monitor is the lock.</param>
internal sealed class RequestTracker(object owner)
{
    private Range[] _ranges = new Range[16];
    private int _count;
    private int _waiting;

    // Somebody needs all ranges, and no other request begins.
    private bool _alone;

    private record struct Range(long First, long Last, bool Exclusive);

    /// <summary>
    /// Whether nobody is in the way of a request. If somebody is, waits until one of the requests has ended: what the caller has looked up
    /// may then be another, so it looks again and asks again.
    /// </summary>
    public bool IsFree(long first, long last, bool exclusive)
    {
        bool free = !_alone;
        for (int i = 0; i < _count && free; i++)
        {
            ref Range range = ref _ranges[i];
            free = first > range.Last || range.First > last || !(exclusive || range.Exclusive);
        }

        if (!free)
        {
            Wait();
        }

        return free;
    }

    /// <summary>Keeps new requests away from now on, and returns when none is under way. One caller after the other.</summary>
    public void BeginAlone()
    {
        while (_alone)
        {
            Wait();
        }

        _alone = true;
        while (_count > 0)
        {
            Wait();
        }
    }

    /// <summary>Ends what <see cref="BeginAlone"/> began.</summary>
    public void EndAlone()
    {
        _alone = false;
        Monitor.PulseAll(owner);
    }

    /// <summary>A request begins, whose range is free.</summary>
    public void Begin(long first, long last, bool exclusive)
    {
        if (_count == _ranges.Length)
        {
            Array.Resize(ref _ranges, 2 * _count);
        }

        _ranges[_count++] = new Range(first, last, exclusive);
    }

    /// <summary>A request ends that began with the same arguments.</summary>
    public void End(long first, long last, bool exclusive)
    {
        int at = Array.IndexOf(_ranges, new Range(first, last, exclusive), 0, _count);
        _ranges[at] = _ranges[--_count];
        if (_waiting > 0)
        {
            Monitor.PulseAll(owner);
        }
    }

    private void Wait()
    {
        _waiting++;
        Monitor.Wait(owner);
        _waiting--;
    }
}
