namespace Vmm.Emulation.Memory;

/// <summary>
/// A device core as the bus sees it. Called on the thread of the accessing vCPU: synchronous and bounded, never waiting for
/// another vCPU or an actor. An access never crosses the device's window.
/// </summary>
public interface IMmioDevice
{
    /// <summary>The name in traces and in <c>info mtree</c>, such as <c>pl011@9000000</c>.</summary>
    string Name { get; }

    /// <summary>
    /// Reads <paramref name="size"/> (1, 2, 4 or 8) bytes at <paramref name="offset"/> from the base of the device, zero-extended.
    /// </summary>
    ulong Read(ulong offset, int size);

    /// <summary>Writes the low <paramref name="size"/> (1, 2, 4 or 8) bytes of <paramref name="value"/>.</summary>
    void Write(ulong offset, int size, ulong value);
}
