namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;

/// <summary>The addresses of the elements of a load or store: a base and a step, or a base and a vector of offsets.</summary>
internal readonly unsafe ref struct SveAddresses
{
    private readonly ulong _base;
    private readonly ulong _step;
    private readonly byte* _offsets;
    private readonly int _size;
    private readonly Extension _extension;
    private readonly int _shift;

    private enum Extension
    {
        None,
        Unsigned,
        Signed,
    }

    /// <summary>Elements that follow each other.</summary>
    /// <param name="step">Bytes from one to the next.</param>
    public SveAddresses(ulong first, int step)
    {
        _base = first;
        _step = (ulong)step;
    }

    /// <summary>A vector of addresses, and what is added to them.</summary>
    /// <param name="size">log2 of the bytes of an element of the vector.</param>
    public SveAddresses(byte* addresses, int size, ulong added)
    {
        _base = added;
        _offsets = addresses;
        _size = size;
    }

    /// <summary>A base and a vector of offsets: of 64 bits, or of 32 bits at the bottom of each element, with a sign or not.</summary>
    /// <param name="shift">How far the offsets are shifted left.</param>
    public SveAddresses(ulong start, byte* offsets, int size, bool narrow, bool signed, int shift)
    {
        _base = start;
        _offsets = offsets;
        _size = size;
        _extension = !narrow ? Extension.None : signed ? Extension.Signed : Extension.Unsigned;
        _shift = shift;
    }

    public ulong At(int index)
    {
        if (_offsets == null)
        {
            return _base + ((ulong)index * _step);
        }

        ulong offset = SveElements.Get(_offsets, index, _size);
        offset = _extension switch { Extension.Unsigned => (uint)offset, Extension.Signed => (ulong)(int)offset, _ => offset };
        return _base + (offset << _shift);
    }
}
