using System.Runtime.InteropServices;
using Serilog.Core;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Host.Migration;

/// <summary>
/// Runs a program of nearly all instructions in a second, small machine, until they have been interpreted and translated. The .NET runtime
/// loads and links code when it is first used. A guest that comes from elsewhere finds nothing of its code translated; after the rehearsal
/// at least interpreter and translator are as fast as in a VM that has booted its guest.
/// </summary>
internal static class TranslatorRehearsal
{
    private const ulong MemoryBytes = 4 << 20;
    private const int ScratchBytes = 8192;

    // The vectors of VBAR_EL1 (Arm ARM, section D1.3.1): sixteen of 128 bytes.
    private const int VectorBytes = 16 * 128;

    private const uint Nop = 0xD503201F;

    // ADR X0: the address is that of data behind the code.
    private const uint Adr = 0x10000000;

    // MSR VBAR_EL1, X0; MOVZ X0, #0x30, LSL #16; MSR CPACR_EL1, X0; ISB: exceptions are handled, FP and SIMD do not trap.
    private static readonly uint[] s_start = [0xD518C000, 0xD2A00600, 0xD5181040, 0xD5033FDF];

    // MOVZ X19, #16: how often the rest is executed. It is translated before.
    private const uint Repeat = 0xD2800213;

    // SUB X19, X19, #1; CBNZ X19, but for its displacement.
    private const uint CountDown = 0xD1000673;
    private const uint Again = 0xB5000013;

    // MRS X17, ELR_EL1; ADD X17, X17, #4; MSR ELR_EL1, X17; ERET: what faults is left out.
    private static readonly uint[] s_handler = [0xD5384031, 0x91001231, 0xD5184031, 0xD69F03E0];

    // CBZ, CBNZ, TBZ, TBNZ, B and BL to the next instruction; ADR X1, 8 before BR, BLR and RET by it; SVC, after which one is left out.
    private static readonly uint[] s_jumps =
    [
        0xB4000020, 0xB5000020, 0x36000020, 0x37000020, 0x14000001, 0x94000001, 0x10000041, 0xD61F0020, 0x10000041, 0xD63F0020,
        0x10000041, 0xD65F0020, 0xD4000001, Nop,
    ];

    // B.cond to the next instruction, but for its condition.
    private const uint BranchCondition = 0x54000020;
    private const uint Conditions = 16;

    // MOVZ W0, #0x8400, LSL #16; MOVK W0, #8; HVC #0: SYSTEM_OFF (PSCI 1.3, section 5.1.9). It does not return.
    private static readonly uint[] s_end = [0x52B08000, 0x72800100, 0xD4000002];

    /// <exception cref="OperationCanceledException">It was stopped before its end.</exception>
    public static async Task RunAsync(MachineConfig rehearsed, CancellationToken stop)
    {
        byte[] program = MemoryMarshal.AsBytes<uint>(MakeProgram()).ToArray();
        var config = new MachineConfig(rehearsed.Cpu, 1, new CpuTopology(1, 1, 1, 1), MemoryBytes, new BootConfig(program, null, ""))
        {
            Accelerator = rehearsed.Accelerator,
        };
        var session = new VmSession(config, _ => { }, _ => { }, logger: Logger.None);
        await using (session.ConfigureAwait(false))
        {
            var over = new TaskCompletionSource<VmRunState>(TaskCreationOptions.RunContinuationsAsynchronously);
            session.Published += message =>
            {
                if (message is VmStatus { RunState: VmRunState.Shutdown or VmRunState.InternalError } status)
                {
                    over.TrySetResult(status.RunState);
                }
            };
            await session.Ask(new StartVm()).ConfigureAwait(false);
            if (await over.Task.WaitAsync(stop).ConfigureAwait(false) != VmRunState.Shutdown)
            {
                throw new InvalidOperationException("the rehearsal of the translator failed");
            }
        }
    }

    // Code, then vectors, then data.
    private static uint[] MakeProgram()
    {
        uint[] samples = [.. EncodingTable.Rows.Where((row, i) => IsSample(row, i)).Select(row => row.Value)];
        int length = 1 + s_start.Length + 1 + (2 * samples.Length) + s_jumps.Length + (int)Conditions + 2 + s_end.Length;
        int vectors = (length * sizeof(uint) + VectorBytes - 1) / VectorBytes * VectorBytes;
        var code = new List<uint>((vectors + VectorBytes + ScratchBytes) / sizeof(uint));
        code.Add(AdrTo(code, vectors));
        code.AddRange(s_start);
        code.Add(Repeat);
        int first = code.Count;
        foreach (uint sample in samples)
        {
            code.Add(AdrTo(code, vectors + VectorBytes + (ScratchBytes / 2)));
            code.Add(sample);
        }

        code.AddRange(s_jumps);
        for (uint condition = 0; condition < Conditions; condition++)
        {
            code.Add(BranchCondition | condition);
        }

        code.Add(CountDown);
        code.Add(Again | (((uint)(first - code.Count) & 0x7FFFF) << 5));
        code.AddRange(s_end);
        for (int vector = 0; vector < 16; vector++)
        {
            Fill(code, vectors + (vector * VectorBytes / 16));
            code.AddRange(s_handler);
        }

        Fill(code, vectors + VectorBytes + ScratchBytes);
        return [.. code];
    }

    // With zeros for all fields. What jumps would not come back, and what changes the state of the system could do anything.
    private static bool IsSample(in EncodingRow row, int index) =>
        !row.IsScalable && !row.May(Effects.Jump | Effects.LocalState | Effects.SystemState) && EncodingTable.Find(row.Value) == index;

    // ADR X0 to a place, in bytes from the start of the code.
    private static uint AdrTo(List<uint> code, int place)
    {
        uint distance = (uint)(place - (code.Count * sizeof(uint)));
        return Adr | ((distance & 3) << 29) | ((distance >> 2) << 5);
    }

    private static void Fill(List<uint> code, int place)
    {
        while (code.Count * sizeof(uint) < place)
        {
            code.Add(Nop);
        }
    }
}
