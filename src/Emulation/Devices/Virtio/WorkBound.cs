namespace Vmm.Emulation.Devices.Virtio;

/// <summary>
/// How much a device does for its driver before it looks whether something else is asked of it. It is counted in bytes of guest RAM that
/// are read, written or zeroed. Taking a chain counts as well, so that a driver which makes chains available as fast as they are taken is
/// no exception.
/// </summary>
internal struct WorkBound
{
    /// <summary>The bound: about a millisecond of the host's time, when each page of it has to be given back to the host.</summary>
    public const int Most = 256 << 10;

    private const int OfChain = 4096;

    private int _left;

    public readonly bool IsReached => _left <= 0;

    public void Begin() => _left = Most;

    public void Spend(int bytes) => _left -= bytes;

    public void SpendChain() => _left -= OfChain;
}
