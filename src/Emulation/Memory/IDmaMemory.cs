namespace Vmm.Emulation.Memory;

/// <summary>
/// RAM as a device, or who boots a machine, reads and writes it: never device registers nor flash. A range is checked as a whole before a
/// byte moves, and what is written is marked in the <see cref="DirtyLog"/>. Any thread.
/// <para>
/// All accesses throw <see cref="MissingPageException"/> where a page of the range has not arrived (<see cref="MissingPages"/>). A
/// device whose access is part of a guest's store lets it pass and leaves its registers as they were: the vCPU repeats the store.
/// </para>
/// </summary>
public interface IDmaMemory
{
    /// <summary>Whether all bytes of a range are RAM.</summary>
    bool IsRam(ulong address, ulong length);

    /// <summary>Copies from RAM; false when not all of the range is RAM.</summary>
    bool TryRead(ulong address, Span<byte> bytes);

    /// <summary>Copies to RAM; false when not all of the range is RAM, and then nothing is written.</summary>
    bool TryWrite(ulong address, ReadOnlySpan<byte> bytes);

    /// <summary>
    /// Reads 16 bits of RAM at once, little endian: what the guest writes meanwhile is seen whole or not at all. False when it is no RAM or
    /// is not aligned.
    /// </summary>
    bool TryLoad(ulong address, out ushort value);

    /// <summary>Writes 16 bits of RAM at once, little endian; false as for <see cref="TryLoad"/>.</summary>
    bool TryStore(ulong address, ushort value);

    /// <summary>
    /// The host's memory of a range of RAM, for a request of the host that reads it, or writes it and then says so
    /// (<see cref="MarkWritten"/>). False when not all of the range is RAM. RAM does not move; what the guest writes meanwhile may be seen.
    /// </summary>
    /// <param name="length">At most <see cref="int.MaxValue"/>.</param>
    bool TryMap(ulong address, uint length, out HostBuffer buffer);

    /// <summary>A range that was mapped has been written; it is RAM.</summary>
    void MarkWritten(ulong address, ulong length);

    /// <summary>
    /// Zeros RAM; whole pages of it take no room of the host afterwards. False when not all of the range is RAM, and then nothing is
    /// written.
    /// </summary>
    bool TryZero(ulong address, ulong length);
}
