namespace Vmm.Emulation.Net;

/// <summary>
/// A frame on its way from where it came to where it goes, whole or cut to the link's size, until there was room for all of it. One thread.
/// </summary>
public sealed class NetPump
{
    private readonly NetFrame _part = new();
    private readonly NetSegmenter _segmenter = new();
    private bool _isCut;
    private bool _hasPart;

    /// <summary>Is filled while the pump is not busy.</summary>
    public NetFrame Frame { get; } = new();

    /// <summary>Whether there is something of the frame to be passed on.</summary>
    public bool IsBusy { get; private set; }

    /// <summary>The frame has been filled.</summary>
    /// <param name="whole">Whether it is passed on as it is. Otherwise it is cut if it is larger than the link's, and completed.</param>
    public void Begin(bool whole)
    {
        IsBusy = true;
        _hasPart = false;
        _isCut = !whole && Frame.Gso != GsoType.None;
        if (_isCut)
        {
            _segmenter.Begin(Frame);
        }
        else if (!whole)
        {
            InternetChecksum.Complete(Frame);
        }
    }

    /// <summary>Passes on what is left; false where there was not room for all of it.</summary>
    /// <param name="pass">Takes a frame; false where there is no room for it now.</param>
    public bool TryPass(Func<NetFrame, bool> pass)
    {
        if (!_isCut)
        {
            IsBusy = !pass(Frame);
            return !IsBusy;
        }

        while (_hasPart || _segmenter.Next(_part))
        {
            _hasPart = true;
            if (!pass(_part))
            {
                return false;
            }

            _hasPart = false;
        }

        IsBusy = false;
        return true;
    }

    /// <summary>Nothing is passed on.</summary>
    public void Drop() => IsBusy = false;
}
