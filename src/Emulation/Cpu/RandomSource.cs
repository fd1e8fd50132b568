using System.Runtime.InteropServices;

namespace Vmm.Emulation.Cpu;

/// <summary>Random numbers of the host's for one vCPU (RNDR), fetched some at a time. Owner: the vCPU's.</summary>
internal sealed class RandomSource
{
    private const int Fetched = 32;

    private readonly ulong[] _numbers = new ulong[Fetched];
    private int _left;

    public ulong Next()
    {
        if (_left == 0)
        {
            HostRandom.Fill(MemoryMarshal.AsBytes(_numbers.AsSpan()));
            _left = Fetched;
        }

        // None is given twice, nor kept for somebody to find.
        ulong number = _numbers[--_left];
        _numbers[_left] = 0;
        return number;
    }
}
