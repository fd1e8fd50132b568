namespace Vmm.Emulation.Cpu.Jit;

/// <summary>
/// A list that the translator fills for a block. It is a class of this assembly since those of the framework, for types of our own, are not
/// compiled ahead of time: they would be slow while a guest boots.
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
