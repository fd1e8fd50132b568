namespace Vmm.Emulation.Net;

/// <summary>The network backends of a machine, by their names, in the order in which they were made. Any thread.</summary>
public sealed class NetdevTable : IDisposable
{
    private readonly Lock _lock = new();
    private readonly List<Netdev> _netdevs = [];
    private readonly Dictionary<int, HubNetdev.Hub> _hubs = [];

    public IReadOnlyList<Netdev> All
    {
        get
        {
            lock (_lock)
            {
                return [.. _netdevs];
            }
        }
    }

    /// <summary>The backend of a name; null for none.</summary>
    public Netdev? Find(string id)
    {
        lock (_lock)
        {
            return _netdevs.Find(n => n.Id == id);
        }
    }

    /// <summary>Adds a backend; false where there is one of its name.</summary>
    /// <exception cref="NetException">It is a port of a hub, and cannot be connected: one line. The table is as it was.</exception>
    public bool TryAdd(Netdev netdev)
    {
        lock (_lock)
        {
            if (_netdevs.Exists(n => n.Id == netdev.Id))
            {
                return false;
            }

            if (netdev is HubNetdev port)
            {
                HubNetdev.Hub hub = _hubs.GetValueOrDefault(port.Number) ?? new HubNetdev.Hub();
                port.Join(this, hub);
                _hubs[port.Number] = hub;
            }

            _netdevs.Add(netdev);
            return true;
        }
    }

    /// <summary>Takes a backend out of the table; null where there is none of the name.</summary>
    public Netdev? Remove(string id)
    {
        lock (_lock)
        {
            Netdev? netdev = _netdevs.Find(n => n.Id == id);
            _netdevs.RemoveAll(n => n == netdev);
            (netdev as HubNetdev)?.Leave();
            return netdev;
        }
    }

    /// <summary>Ends all of them, after the machine.</summary>
    public void Dispose()
    {
        // A port uses its backend until it has ended.
        foreach (Netdev netdev in All.OrderBy(n => n is HubNetdev ? 0 : 1))
        {
            netdev.Dispose();
        }
    }
}
