namespace Vmm.Emulation.Memory;

/// <summary>
/// The guest's physical bus: memory and device windows. Wired once by the machine before any vCPU runs and immutable
/// afterwards, so look-ups take no lock. An address that nothing answers is an external abort for the vCPU.
/// </summary>
public sealed unsafe partial class PhysicalAddressSpace : IDmaMemory
{
    private readonly List<GuestMemory> _memories = [];

    // By address.
    private Window[] _windows = [];

    /// <summary>A device window: <paramref name="Size"/> bytes at <paramref name="Start"/>.</summary>
    public readonly record struct Window(ulong Start, ulong Size, IMmioDevice Device)
    {
        public ulong End => Start + Size;
    }

    public IReadOnlyList<GuestMemory> Memories => _memories;

    public void AddMemory(GuestMemory memory) => _memories.Add(memory);

    /// <exception cref="ArgumentException">The window overlaps another one.</exception>
    public void Map(IMmioDevice device, GuestPhysicalAddress start, ulong size)
    {
        foreach (Window other in _windows)
        {
            if (start.Value < other.End && other.Start < start.Value + size)
            {
                throw new ArgumentException(
                    $"{device.Name} at {start}+0x{size:x} overlaps {other.Device.Name} at 0x{other.Start:x}+0x{other.Size:x}");
            }
        }

        int before = Array.FindAll(_windows, w => w.Start < start.Value).Length;
        _windows = [.. _windows[..before], new Window(start.Value, size, device), .. _windows[before..]];
    }

    /// <summary>The memory that the guest reads at an address, or null where it is a device or nothing.</summary>
    public GuestMemory? FindMemory(ulong address)
    {
        foreach (GuestMemory memory in _memories)
        {
            if (address - memory.Start.Value < memory.Size)
            {
                return memory.IsDirect ? memory : null;
            }
        }

        return null;
    }

    /// <summary>The host address of a byte of memory, to read, valid to the end of its page; null where no memory is.</summary>
    public byte* HostPointer(ulong address)
    {
        GuestMemory? memory = FindMemory(address);
        return memory == null ? null : memory.Host + (address - memory.Start.Value);
    }

    /// <summary>The address of a byte of memory, from where it is on the host.</summary>
    /// <exception cref="ArgumentException">No memory is there.</exception>
    public ulong AddressOf(byte* host)
    {
        foreach (GuestMemory memory in _memories)
        {
            if ((ulong)(host - memory.Host) < memory.Size)
            {
                return memory.Start.Value + (ulong)(host - memory.Host);
            }
        }

        throw new ArgumentException("no memory is there", nameof(host));
    }

    /// <summary>
    /// As <see cref="HostPointer"/>, for a vCPU that writes there now, which marks the page; null also where memory is read-only.
    /// </summary>
    public byte* WritablePointer(ulong address)
    {
        GuestMemory? memory = FindMemory(address);
        if (memory == null || memory.IsReadOnly)
        {
            return null;
        }

        memory.MarkWritten(address, 1);
        return memory.Host + (address - memory.Start.Value);
    }

    public bool IsRam(ulong address, ulong length) => FindRam(address, length) != null;

    public bool TryRead(ulong address, Span<byte> bytes)
    {
        if (FindRam(address, (ulong)bytes.Length) is not { } memory)
        {
            return false;
        }

        ThrowIfMissing(memory, address, (ulong)bytes.Length);
        memory.Span(new GuestPhysicalAddress(address), bytes.Length).CopyTo(bytes);
        return true;
    }

    public bool TryWrite(ulong address, ReadOnlySpan<byte> bytes)
    {
        if (FindRam(address, (ulong)bytes.Length) is not { } memory)
        {
            return false;
        }

        ThrowIfMissing(memory, address, (ulong)bytes.Length);
        bytes.CopyTo(memory.Span(new GuestPhysicalAddress(address), bytes.Length));
        memory.MarkWritten(address, (ulong)bytes.Length);
        return true;
    }

    public bool TryLoad(ulong address, out ushort value)
    {
        value = 0;
        if (address % sizeof(ushort) != 0 || FindRam(address, sizeof(ushort)) is not { } memory)
        {
            return false;
        }

        // SAFETY: both bytes are inside the memory. The hosts are little endian, as the value is.
        ThrowIfMissing(memory, address, sizeof(ushort));
        value = Volatile.Read(ref *(ushort*)(memory.Host + (address - memory.Start.Value)));
        return true;
    }

    public bool TryStore(ulong address, ushort value)
    {
        if (address % sizeof(ushort) != 0 || FindRam(address, sizeof(ushort)) is not { } memory)
        {
            return false;
        }

        // SAFETY: as above.
        ThrowIfMissing(memory, address, sizeof(ushort));
        Volatile.Write(ref *(ushort*)(memory.Host + (address - memory.Start.Value)), value);
        memory.MarkWritten(address, sizeof(ushort));
        return true;
    }

    public bool TryMap(ulong address, uint length, out HostBuffer buffer)
    {
        buffer = default;
        if (length > int.MaxValue || FindRam(address, length) is not { } memory)
        {
            return false;
        }

        // SAFETY: the range is inside the memory, which lives as long as the machine.
        ThrowIfMissing(memory, address, length);
        buffer = new HostBuffer(memory.Host + (address - memory.Start.Value), (int)length);
        return true;
    }

    public void MarkWritten(ulong address, ulong length) => FindRam(address, length)?.MarkWritten(address, length);

    public bool TryZero(ulong address, ulong length)
    {
        if (FindRam(address, length) is not { } memory)
        {
            return false;
        }

        ThrowIfMissing(memory, address, length);
        memory.Zero(new GuestPhysicalAddress(address), length);
        memory.MarkWritten(address, length);
        return true;
    }

    private static void ThrowIfMissing(GuestMemory memory, ulong address, ulong length)
    {
        if (memory.FindMissing(address, length) is { } missing)
        {
            throw new MissingPageException(memory, missing);
        }
    }

    // One memory that holds the whole range and that stores reach.
    private GuestMemory? FindRam(ulong address, ulong length) =>
        FindMemory(address) is { IsReadOnly: false } memory && memory.Contains(address, length) ? memory : null;

    /// <summary>A device read of 1, 2, 4 or 8 bytes; false when nothing answers (synchronous external abort).</summary>
    public bool TryRead(ulong address, int size, out ulong value)
    {
        if (FindWindow(address, size, out Window window))
        {
            value = window.Device.Read(address - window.Start, size);
            return true;
        }

        value = 0;
        return false;
    }

    /// <summary>A device write of 1, 2, 4 or 8 bytes; false when nothing answers (synchronous external abort).</summary>
    public bool TryWrite(ulong address, int size, ulong value)
    {
        if (FindWindow(address, size, out Window window))
        {
            window.Device.Write(address - window.Start, size, value);
            return true;
        }

        return false;
    }

    /// <summary>The device window that holds an address; null where there is none.</summary>
    public Window? FindDevice(ulong address) => FindWindow(address, 1, out Window window) ? window : null;

    private bool FindWindow(ulong address, int size, out Window window)
    {
        Window[] windows = _windows;
        int low = 0;
        int high = windows.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) >> 1;
            window = windows[middle];
            if (address < window.Start)
            {
                high = middle - 1;
            }
            else if (address - window.Start >= window.Size)
            {
                low = middle + 1;
            }
            else
            {
                return window.Size - (address - window.Start) >= (ulong)size;
            }
        }

        window = default;
        return false;
    }
}
