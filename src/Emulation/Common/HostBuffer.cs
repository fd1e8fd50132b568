using System.Runtime.InteropServices;

namespace Vmm.Emulation;

/// <summary>
/// Memory of this process that a request of the host reads or writes directly, in the form of iovec (readv(2)). Whoever made it keeps the
/// memory for as long as it is used.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public readonly unsafe struct HostBuffer
{
    private readonly byte* _address;
    private readonly nuint _length;

    /// <param name="length">At most <see cref="int.MaxValue"/>.</param>
    internal HostBuffer(byte* address, int length)
    {
        _address = address;
        _length = (nuint)length;
    }

    public int Length => (int)_length;

    /// <summary>The bytes.</summary>
    public Span<byte> Span => new(_address, (int)_length);

    /// <summary>This buffer and one behind it as one, if that is where it ends.</summary>
    internal bool TryJoin(HostBuffer next, out HostBuffer both)
    {
        both = default;
        if (_address + _length != next._address || _length + next._length > int.MaxValue)
        {
            return false;
        }

        both = new HostBuffer(_address, (int)(_length + next._length));
        return true;
    }
}
