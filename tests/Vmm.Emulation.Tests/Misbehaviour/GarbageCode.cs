using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.SystemRegisters;

namespace Vmm.Emulation.Tests.Misbehaviour;

/// <summary>
/// Random instructions and register values: half of the words are allocated encodings with random fields, the others anything.
/// </summary>
internal sealed unsafe class GarbageCode(int seed)
{
    // MSR, MRS and SYS of all registers and operations that exist, which random fields rarely name; and HVC and SMC.
    private static readonly uint[] SystemWords =
    [
        .. Enumerable.Range(0, 1 << 16).Where(key => SystemRegisterTable.Find(key) >= 0)
            .SelectMany(key => new[] { 0xD510_0000 | ((uint)key << 5), 0xD530_0000 | ((uint)key << 5) }),
        .. Enumerable.Range(0, 1 << 14).Where(key => SystemOperations.Find(key) >= 0).Select(key => 0xD508_0000 | ((uint)key << 5)),
        0xD400_0002, 0xD400_0003,
    ];

    /// <summary>MRS X5, ELR_EL1; ADD X5, X5, #4; MSR ELR_EL1, X5; ERET: an exception handler that goes on after whatever faulted.</summary>
    public static readonly uint[] Skip = [0xD538_4025, 0x9100_10A5, 0xD518_4025, 0xD69F_03E0];

    public Random Random { get; } = new(seed);

    public ulong Any() => (ulong)Random.NextInt64(long.MinValue, long.MaxValue);

    public uint Word()
    {
        uint any = (uint)Any();
        switch (Random.Next(8))
        {
            case < 3:
                return any;
            case 3:
                uint system = SystemWords[Random.Next(SystemWords.Length)];
                return (system & 0xFF00_0000) == 0xD400_0000 ? system : system | (any & 0x1F);
            default:
                EncodingRow row = EncodingTable.Rows[Random.Next(EncodingTable.Rows.Length)];
                return row.Value | (any & ~row.Mask);
        }
    }

    public void Fill(Span<uint> words)
    {
        foreach (ref uint word in words)
        {
            word = Word();
        }
    }

    /// <summary>An address in the upper half of RAM, at its end, of a device, of nothing, or any; or a PSCI function.</summary>
    public ulong Address()
    {
        ulong any = Any();
        return Random.Next(9) switch
        {
            8 => 0x8400_0000 | (any & 0x4000_001F),
            0 => any,
            1 => any & 0xFFFF,
            2 => VirtMap.Board.Uart.Address + (any & 0xFFF),
            3 => VirtMap.Board.Distributor.Value + (any & 0x1F_FFFF),
            4 => HostileMachine.RamEnd - 64 + (any & 63),
            _ => HostileMachine.RamEnd - 1 - (any & ((HostileMachine.RamSize / 2) - 1) & (Random.Next(2) == 0 ? ~0ul : ~15ul)),
        };
    }

    /// <summary>Registers that are addresses, small or anything.</summary>
    public void FillRegisters(CpuState* s)
    {
        for (int i = 0; i < 31; i++)
        {
            s->X[i] = Address();
        }

        s->X[CpuState.Sp] = Address() & (Random.Next(4) == 0 ? ~0ul : ~15ul);
        for (int i = 0; i < 64; i++)
        {
            s->V[i] ^= s->X[i & 15];
        }
    }
}
