namespace Vmm.Emulation.Cpu.Jit;

/// <summary>
/// Where the code of a block is, at the addresses where it is written: what mostly runs, and apart from it the ways out, which are as long
/// again and would only fill the caches of the host. What is known of the block stands before the ways out.
/// </summary>
internal readonly unsafe struct BlockCode(byte* hot, byte* hotEnd, byte* cold, byte* ways, byte* coldEnd)
{
    public byte* Hot => hot;

    public byte* HotEnd => hotEnd;

    /// <summary>The <see cref="CodeBlock"/>, and copies of instructions.</summary>
    public byte* Cold => cold;

    /// <summary>The ways out.</summary>
    public byte* Ways => ways;

    public byte* ColdEnd => coldEnd;
}
