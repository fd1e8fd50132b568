namespace Vmm.Emulation.Cpu;

/// <summary>Accesses that were made before and are made again, to compare what they do.</summary>
internal unsafe interface IAccessReplay
{
    /// <summary>
    /// Where an access that is repeated goes in host memory. False while none is repeated, and for a place that it cannot have gone to.
    /// </summary>
    bool TryFind(ulong va, int size, AccessKind kind, bool write, out byte* host);

    /// <summary>Before a store of <paramref name="size"/> bytes, while accesses are repeated.</summary>
    void NoteStore(byte* host, int size);
}
