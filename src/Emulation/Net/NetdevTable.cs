namespace Vmm.Emulation.Net;

/// <summary>The network backends of a machine, by their names, in the order in which they were made. Any thread.</summary>
public sealed class NetdevTable : IDisposable
{
    private readonly Lock _lock = new();
    private readonly List<Netdev> _netdevs = [];

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
    public bool TryAdd(Netdev netdev)
    {
        lock (_lock)
        {
            if (_netdevs.Exists(n => n.Id == netdev.Id))
            {
                return false;
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
            return netdev;
        }
    }

    /// <summary>Ends all of them, after the machine.</summary>
    public void Dispose()
    {
        foreach (Netdev netdev in All)
        {
            netdev.Dispose();
        }
    }
}
