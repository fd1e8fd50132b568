using System.IO.MemoryMappedFiles;

namespace Vmm.Emulation;

/// <summary>
/// Numbers of 64 bits in memory, each of which is read and written whole. In a file they outlive the process, however it ends. They are
/// mapped until the process ends. Who writes which number, and in which order, is for the owner to say.
/// </summary>
public sealed unsafe class SharedCounters
{
    // What the pointer points into: an array that the collector does not move, or the view of a file.
    private readonly object _memory;
    private readonly long* _first;

    /// <summary>Numbers of this process alone, all 0.</summary>
    public SharedCounters(int count)
    {
        long[] memory = GC.AllocateArray<long>(count, pinned: true);
        _memory = memory;
        _first = (long*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref memory[0]);
    }

    /// <summary>Numbers in a file, all 0. One that is there is removed: whoever has it mapped keeps its own.</summary>
    /// <exception cref="IOException">The file cannot be made.</exception>
    /// <exception cref="UnauthorizedAccessException">As before.</exception>
    public SharedCounters(int count, string path)
    {
        File.Delete(path);

        // Written, so that a host without space says so now: a store into a hole of the file would end the process.
        File.WriteAllBytes(path, new byte[count * sizeof(long)]);
        using var file = MemoryMappedFile.CreateFromFile(path, FileMode.Open);
        MemoryMappedViewAccessor view = file.CreateViewAccessor();
        _memory = view;
        byte* first = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref first);
        _first = (long*)first;
    }

    /// <summary>A number. The index is not checked.</summary>
    public ref long this[int index]
    {
        get
        {
            GC.KeepAlive(_memory);
            return ref _first[index];
        }
    }
}
