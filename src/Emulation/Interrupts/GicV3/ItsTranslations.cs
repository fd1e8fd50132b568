namespace Vmm.Emulation.Interrupts.GicV3;

/// <summary>What the tables say of an event of a device.</summary>
/// <param name="IntId">The LPI.</param>
/// <param name="Cpu">The number of the CPU to which its collection leads.</param>
internal readonly record struct ItsTranslation(ushort IntId, ushort Cpu);

/// <summary>
/// The translations that the ITS has read in its tables and that no command has changed since, and the messages that wait for a page of a
/// table. The lock of the <see cref="Its"/> guards them.
/// </summary>
internal sealed class ItsTranslations
{
    /// <summary>So many are kept; one more begins anew, so that a guest cannot use up the host's memory.</summary>
    public const int Capacity = 16_384;

    private readonly Dictionary<(uint Device, uint Event), ItsTranslation> _known = [];
    private readonly HashSet<(uint Device, uint Event)> _waiting = [];

    public IReadOnlyDictionary<(uint Device, uint Event), ItsTranslation> Known => _known;

    /// <summary>The messages that wait; a message that waits and comes again is one.</summary>
    public IReadOnlyCollection<(uint Device, uint Event)> Waiting => _waiting;

    public bool TryFind(uint device, uint evt, out ItsTranslation found) => _known.TryGetValue((device, evt), out found);

    public void Add(uint device, uint evt, ItsTranslation translation)
    {
        if (_known.Count >= Capacity)
        {
            _known.Clear();
        }

        _known[(device, evt)] = translation;
    }

    public void Forget(uint device, uint evt) => _known.Remove((device, evt));

    /// <summary>Forgets all of a device, or all that there is.</summary>
    public void Forget(uint? device)
    {
        if (device == null)
        {
            _known.Clear();
            return;
        }

        foreach ((uint Device, uint Event) key in _known.Keys.Where(k => k.Device == device).ToArray())
        {
            _known.Remove(key);
        }
    }

    public void AddWaiting(uint device, uint evt)
    {
        if (_waiting.Count < Capacity)
        {
            _waiting.Add((device, evt));
        }
    }

    public (uint Device, uint Event)[] TakeWaiting()
    {
        (uint Device, uint Event)[] waiting = [.. _waiting];
        _waiting.Clear();
        return waiting;
    }

    public void Clear()
    {
        _known.Clear();
        _waiting.Clear();
    }
}
