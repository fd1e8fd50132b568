namespace Vmm.Emulation.Cpu.Jit;

/// <summary>
/// Where the code of a block is, at the addresses where it is written: what mostly runs, and apart from it the ways out, which are as long again and would
/// only fill the caches of the host.
/// </summary>
internal readonly unsafe struct BlockCode(byte* hot, byte* hotEnd, byte* cold, byte* coldEnd)
{
    public byte* Hot => hot;

    public byte* HotEnd => hotEnd;

    public byte* Cold => cold;

    public byte* ColdEnd => coldEnd;
}
