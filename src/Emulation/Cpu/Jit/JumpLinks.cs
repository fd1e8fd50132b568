namespace Vmm.Emulation.Cpu.Jit;

/// <summary>
/// The linked jumps between blocks, a list for each page, so that a jump can be unlinked: then it leads to a stub that leaves, as before it
/// was linked. Places are offsets from the start of the memory for code. Owner: whoever holds the lock of the translation cache.
/// </summary>
internal sealed class JumpLinks
{
    public const int None = -1;

    private Link[] _links = new Link[1024];
    private int _count;
    private int _free = None;

    /// <summary>A linked jump.</summary>
    public struct Link
    {
        /// <summary>The place in the jump that is changed when it is linked.</summary>
        public int Place;

        /// <summary>What was there before it was linked.</summary>
        public int Original;

        /// <summary>The code that it goes to.</summary>
        public int Target;
        public int Next;
    }

    public ref Link this[int index] => ref _links[index];

    /// <summary>Puts a jump before the first of a list; the new first.</summary>
    public int Add(int first, int place, int original, int target)
    {
        int index = _free;
        if (index != None)
        {
            _free = _links[index].Next;
        }
        else
        {
            if (_count == _links.Length)
            {
                Array.Resize(ref _links, 2 * _count);
            }

            index = _count++;
        }

        _links[index] = new Link { Place = place, Original = original, Target = target, Next = first };
        return index;
    }

    /// <summary>Frees one that is in no list any more.</summary>
    public void Free(int index)
    {
        _links[index].Next = _free;
        _free = index;
    }
}
