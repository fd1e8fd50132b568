namespace Vmm.Emulation.Cpu;

/// <summary>Accesses that were made before and are made again, to compare what they do.</summary>
internal unsafe interface IAccessReplay
{
    /// <summary>
    /// The place in host memory of an access that is repeated. False while none is repeated, and when the access cannot have gone there.
    /// </summary>
    bool TryFind(ulong va, int size, AccessKind kind, bool write, out byte* host);

    /// <summary>Before a store of <paramref name="size"/> bytes, while accesses are repeated.</summary>
    void NoteStore(byte* host, int size);
}
