namespace Vmm.Emulation.Cpu.Jit;

/// <summary>
/// A part of the memory for code. It is filled block by block and emptied as a whole. Hot parts of blocks follow each other from one place
/// on, cold parts from another. Owner: whoever holds the lock of the translation cache.
/// </summary>
internal sealed unsafe class CodeSegment
{
    private readonly byte* _hotFirst;
    private readonly byte* _coldFirst;
    private readonly byte* _end;
    private readonly int _maxBytes;

    // Where each block begins in the cold part: in the order of their hot parts.
    private readonly List<nint> _blocks = [];

    /// <param name="start">Where hot parts begin.</param>
    /// <param name="cold">Where cold parts begin; a multiple of 8.</param>
    /// <param name="end">Where the segment ends.</param>
    /// <param name="maxBytes">Bytes that each part of a block takes at most.</param>
    public CodeSegment(byte* start, byte* cold, byte* end, int maxBytes)
    {
        _maxBytes = maxBytes;
        _hotFirst = Hot = start;
        _coldFirst = Cold = cold;
        _end = end;
    }

    /// <summary>Where the next hot part goes.</summary>
    public byte* Hot { get; private set; }

    /// <summary>Where the next cold part goes.</summary>
    public byte* Cold { get; private set; }

    public int Blocks => _blocks.Count;

    /// <summary>Bytes of blocks in force.</summary>
    public long Live { get; set; }

    /// <summary>Bytes of all blocks.</summary>
    public long Used => Hot - _hotFirst + (Cold - _coldFirst);

    /// <summary>A number that rises from one segment that is begun to the next; 0 while this one is empty.</summary>
    public long Filled { get; set; }

    public CodeBlock* this[int block] => (CodeBlock*)_blocks[block];

    public bool HasRoom => Hot + _maxBytes <= _coldFirst && Cold + _maxBytes <= _end;

    public bool Holds(byte* place) => place >= _hotFirst && place < _end;

    /// <summary>Keeps a block that was made at <see cref="Hot"/> and <see cref="Cold"/>.</summary>
    public void Keep(BlockCode block)
    {
        Live += block.HotEnd - block.Hot + (block.ColdEnd - block.Cold);
        _blocks.Add((nint)block.Cold);
        Hot = block.HotEnd;
        Cold = block.ColdEnd;
    }

    /// <summary>Gives the memory of an empty segment back to the host.</summary>
    public void GiveBack(ExecutableMemory memory) => memory.GiveBack(_hotFirst, _end);

    public void Empty()
    {
        Hot = _hotFirst;
        Cold = _coldFirst;
        Live = 0;
        _blocks.Clear();
    }
}
