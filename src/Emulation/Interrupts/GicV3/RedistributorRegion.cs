using Vmm.Emulation.Memory;
using static Vmm.Emulation.Interrupts.GicV3.GicSpec;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <summary>The window of adjacent redistributors.</summary>
public sealed class RedistributorRegion : IMmioDevice
{
    private readonly Redistributor[] _redistributors;

    internal RedistributorRegion(Gic gic, int first, int count)
    {
        _redistributors = [.. gic.CpuInterfaces.Skip(first).Take(count).Select(cpu => cpu.Redistributor)];
        if (count > 0)
        {
            _redistributors[^1].IsLast = true;
        }
    }

    /// <summary>The number of redistributors.</summary>
    public int Count => _redistributors.Length;

    public string Name => "gicv3-redistributors";

    public ulong Read(ulong offset, int size) => Find(offset)?.Read(offset % RedistributorStride, size) ?? 0;

    public void Write(ulong offset, int size, ulong value) => Find(offset)?.Write(offset % RedistributorStride, size, value);

    private Redistributor? Find(ulong offset)
    {
        ulong index = offset / RedistributorStride;
        return index < (ulong)_redistributors.Length ? _redistributors[index] : null;
    }
}
