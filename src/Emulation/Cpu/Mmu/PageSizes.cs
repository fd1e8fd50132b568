namespace Vmm.Emulation.Cpu.Mmu;

/// <summary>
/// The sizes of the pages and blocks of which a cache holds pieces, and roughly their places. It is a filter. It may say yes for an address
/// of which nothing is cached, but never no for an address of which something is. So invalidating an address looks for pieces of a block
/// only where there may be some. Owner: the owner of the cache.
/// </summary>
internal sealed class PageSizes
{
    // One stage-1 regime has at most four sizes for each of two granules (Arm ARM D8.2).
    private const int MaxSizes = 8;
    private const int PlaceBits = 10;
    private const int Places = 1 << PlaceBits;

    private readonly byte[] _sizes = new byte[MaxSizes];
    private readonly ulong[] _places = new ulong[MaxSizes * Places / 64];

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

        int place = Place(index, va);
        _places[place >> 6] |= 1ul << place;
    }

    /// <summary>Whether a piece of the page or block of one of the sizes that holds an address may be cached.</summary>
    public bool MayHold(int index, ulong va)
    {
        int place = Place(index, va);
        return ((_places[place >> 6] >> place) & 1) != 0;
    }

    public void Clear()
    {
        Array.Clear(_places, 0, Count * Places / 64);
        Count = 0;
    }

    // The bit of the page or block that holds an address, by the top bits of a product (Fibonacci hashing).
    private int Place(int index, ulong va) =>
        (index * Places) + (int)((((va & TlbContext.AddressBits) >> _sizes[index]) * 0x9E37_79B9_7F4A_7C15) >> (64 - PlaceBits));
}
