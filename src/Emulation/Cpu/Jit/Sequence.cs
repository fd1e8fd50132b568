namespace Vmm.Emulation.Cpu.Jit;

/// <summary>
/// What the translator collects for a block. As List, but in this assembly: the instances of the framework's for types of our own are not
/// compiled ahead of time, and would be slow while a guest boots.
/// </summary>
internal sealed class Sequence<T>
{
    private T[] _items = new T[64];

    public int Count { get; private set; }

    public ref readonly T this[int index] => ref _items[index];

    public void Add(in T item)
    {
        if (Count == _items.Length)
        {
            Array.Resize(ref _items, 2 * Count);
        }

        _items[Count++] = item;
    }

    public void Clear() => Count = 0;
}
