using System.Runtime.InteropServices;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Memory;

/// <summary>
/// The allocation tags of RAM (FEAT_MTE2): four bits for each granule of 16 bytes, two in a byte, the lower granule in the lower bits. The
/// host gives memory for the tags of a page when one of them is first set to something else than 0.
/// </summary>
/// <remarks>
/// Any vCPU reads and writes tags without a lock. A write changes its four bits alone, by compare-and-exchange. Tags have no order with
/// data but that of the barriers around them. They are saved, loaded and cleared while no vCPU runs.
/// </remarks>
public sealed unsafe class TagMemory : IStateUnit, IDisposable
{
    /// <summary>Bytes that have one tag.</summary>
    public const int Granule = 16;

    private const int BytesOfTagByte = 2 * Granule;
    private const int TagsOfPage = GuestMemory.PageSize / BytesOfTagByte;

    private readonly GuestMemory _ram;
    private readonly byte* _tags;

    // Of each page of RAM: whether a tag of it was ever set since the last Clear. Any vCPU sets it, before it sets the tag.
    private readonly bool[] _used;

    public TagMemory(GuestMemory ram)
    {
        _ram = ram;
        _used = new bool[ram.Size >> GuestMemory.PageShift];
        _tags = (byte*)NativeMemory.AllocZeroed((nuint)_used.Length, TagsOfPage);
    }

    public string Id => "memory-tags";

    /// <summary>The tag of a byte of RAM, given by its host address.</summary>
    public int this[byte* host]
    {
        get
        {
            nint offset = (nint)(host - _ram.Host);
            return (Volatile.Read(ref _tags[offset / BytesOfTagByte]) >> ShiftOf(offset)) & 15;
        }

        set
        {
            nint offset = (nint)(host - _ram.Host);
            ref bool used = ref _used[offset >> GuestMemory.PageShift];
            if (!Volatile.Read(ref used))
            {
                if (value == 0)
                {
                    return;
                }

                Volatile.Write(ref used, true);
            }

            ref byte place = ref _tags[offset / BytesOfTagByte];
            byte old = Volatile.Read(ref place);
            while (true)
            {
                byte now = (byte)((old & ~(15 << ShiftOf(offset))) | (value << ShiftOf(offset)));
                byte found = Interlocked.CompareExchange(ref place, now, old);
                if (found == old)
                {
                    return;
                }

                old = found;
            }
        }
    }

    private static int ShiftOf(nint offset) => (int)(offset / Granule % 2) * 4;

    /// <summary>All tags are 0. No vCPU runs.</summary>
    public void Clear()
    {
        for (int page = 0; page < _used.Length; page++)
        {
            if (_used[page])
            {
                TagsOf(page).Clear();
                _used[page] = false;
            }
        }
    }

    private Span<byte> TagsOf(int page) => new(_tags + ((nint)page * TagsOfPage), TagsOfPage);

    public void Save(StateWriter writer)
    {
        var pages = new List<int>();
        for (int page = 0; page < _used.Length; page++)
        {
            if (_used[page] && TagsOf(page).ContainsAnyExcept((byte)0))
            {
                pages.Add(page);
            }
        }

        byte[] tags = new byte[(long)pages.Count * TagsOfPage];
        for (int i = 0; i < pages.Count; i++)
        {
            TagsOf(pages[i]).CopyTo(tags.AsSpan(i * TagsOfPage));
        }

        writer.Write<int>("pages", [.. pages]);
        writer.Write<byte>("tags", tags);
    }

    public void Load(StateReader reader)
    {
        Clear();
        int[] pages = reader.ReadArray<int>("pages", _used.Length);
        byte[] tags = new byte[(long)pages.Length * TagsOfPage];
        reader.Read<byte>("tags", tags);
        for (int i = 0; i < pages.Length; i++)
        {
            reader.Require(pages[i] >= 0 && pages[i] < _used.Length, "pages");
            tags.AsSpan(i * TagsOfPage, TagsOfPage).CopyTo(TagsOf(pages[i]));
            _used[pages[i]] = true;
        }
    }

    public void Dispose() => NativeMemory.Free(_tags);
}
