namespace Vmm.Emulation.Cpu.Mmu;

/// <summary>
/// Which sizes of pages and blocks a cache holds pieces of, and roughly where: a filter, which may say yes to an address that nothing is cached of, never no to one
/// that something is cached of. So invalidating an address looks for pieces of a block only where there may be some. Owner: that of the cache.
/// </summary>
internal sealed class PageSizes
{
    // One stage-1 regime has three sizes for each of two granules (Arm ARM D8.2).
    private const int MaxSizes = 6;
    private const int Words = 16;

    private readonly byte[] _sizes = new byte[MaxSizes];
    private readonly ulong[] _places = new ulong[MaxSizes * Words];

    public int Count { get; private set; }

    /// <summary>log2 of one of the sizes.</summary>
    public int SizeBits(int index) => _sizes[index];

    /// <summary>A piece of the page or block of so many bits that holds an address is cached from now on.</summary>
    public void Note(ulong va, int sizeBits)
    {
        int index = 0;
        while (index < Count && _sizes[index] != sizeBits)
        {
            index++;
        }

        if (index == Count)
        {
            _sizes[Count++] = (byte)sizeBits;
        }

        Place(index, va) |= Bit(va >> sizeBits);
    }

    /// <summary>Whether a piece of the page or block of one of the sizes that holds an address may be cached.</summary>
    public bool MayHold(int index, ulong va) => (Place(index, va) & Bit(va >> _sizes[index])) != 0;

    public void Clear()
    {
        Array.Clear(_places, 0, Count * Words);
        Count = 0;
    }

    private ref ulong Place(int index, ulong va) => ref _places[(index * Words) + ((int)(va >> (_sizes[index] + 6)) & (Words - 1))];

    private static ulong Bit(ulong number) => 1ul << (int)(number & 63);
}
