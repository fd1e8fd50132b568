namespace Vmm.Emulation.Cpu.Jit;

/// <summary>
/// Where the code of a block is, at the addresses where it is written. The hot part is what mostly runs. The cold part, far from it, has
/// the
/// <see cref="CodeBlock"/>, copies of ops and the ways out, which are as long as the hot part and would only fill the host's caches.
/// </summary>
internal readonly unsafe struct BlockCode(byte* hot, byte* hotEnd, byte* cold, byte* ways, byte* coldEnd)
{
    public byte* Hot => hot;

    public byte* HotEnd => hotEnd;

    /// <summary>The cold part, which begins with the <see cref="CodeBlock"/>.</summary>
    public byte* Cold => cold;

    /// <summary>The ways out.</summary>
    public byte* Ways => ways;

    public byte* ColdEnd => coldEnd;
}
