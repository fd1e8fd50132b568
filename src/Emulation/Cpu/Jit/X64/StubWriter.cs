using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.Plan;

namespace Vmm.Emulation.Cpu.Jit.X64;

/// <summary>
/// Writes the cold part of a block: copies of the instructions that are left for, and the stubs to which the hot part jumps.
/// </summary>
internal sealed unsafe class StubWriter(
    Assembler asm, Thunks thunks, Exits exits, FlagCache flags, VectorCache vectors, AddressCover cover, FloatChecks floats)
{
    // Where the copy of each instruction is that is left for.
    private readonly nint[] _copies = new nint[BlockPlan.MaxLength];

    // On the way back of a stub: the jumps that are taken where what the code relies on is not met.
    private readonly Sequence<nint> _unmet = new();

    private BlockPlan _plan = null!;

    // Where the CodeBlock goes, at the start of the cold part.
    private byte* _block;

    /// <summary>Writes the cold part from the assembler's position on.</summary>
    /// <returns>Where the stubs begin.</returns>
    public byte* Write(BlockPlan plan, CodeSpace space)
    {
        _plan = plan;
        _block = space.Cold;
        CopyOps();
        byte* ways = asm.Position;
        for (int i = 0; i < exits.Count; i++)
        {
            Write(exits[i]);
        }

        while (((nint)asm.Position & 7) != 0)
        {
            asm.Byte(0x90);
        }

        return ways;
    }

    // The copies are aligned, since they come first.
    private void CopyOps()
    {
        Array.Clear(_copies, 0, _plan.Length);
        for (int i = 0; i < exits.Count; i++)
        {
            if (exits[i].Kind != ExitKind.Interpret)
            {
                continue;
            }

            Op* op = exits[i].Op;
            ref nint copy = ref _copies[op - _plan.At(0)];
            if (copy == 0)
            {
                copy = (nint)asm.Position;
                asm.Data(*op);
            }
        }
    }

    private void Write(in Stub stub)
    {
        asm.Bind(stub.Jump);
        byte* apart = cover.LookUpAgain(stub.Miss);
        SettleState(stub);
        asm.Call(stub.Kind switch
        {
            ExitKind.Interpret => thunks.LeaveForInterpreter,
            ExitKind.Link => thunks.LeaveForLink,
            _ => thunks.LeaveForAttention,
        });
        bool returns = stub.After.Valid != 0 || stub.Retest != FloatConditions.None || stub.Led.Leads;
        WriteInfo(stub, returns ? null : stub.Place);
        if (returns)
        {
            WriteReturn(stub);
        }

        if (apart != null)
        {
            WriteApart(stub, apart);
        }
    }

    // Puts flags and V registers where the interpreter and other blocks expect them.
    private void SettleState(in Stub stub)
    {
        if (stub.FlagSource != null)
        {
            flags.Settle(stub.FlagSource);
        }

        vectors.Store(stub.Before);
    }

    // The ExitInfo behind a call that leaves. The code goes on at a place, or just behind the ExitInfo where that is null.
    private void WriteInfo(in Stub stub, byte* place)
    {
        byte* start = asm.Position;
        asm.Int32(stub.Kind == ExitKind.Interpret ? (int)(_copies[stub.Op - _plan.At(0)] - (nint)start) : stub.Op->Offset);
        asm.Int32(stub.Count | (stub.Relies ? 1 << 8 : 0) | (CounterOf(stub) << 16));
        asm.Int32((int)((place == null ? start + ExitInfo.CommonSize : place) - asm.Position));
        asm.Int32(_plan.Page.Number);
        if (stub.Kind is ExitKind.Link or ExitKind.Apart)
        {
            asm.Int32((int)(_block - asm.Position));
        }
    }

    // The interpreter comes back here. Tests again what the code behind the instruction takes as met, and loads the V registers that it
    // holds.
    private void WriteReturn(in Stub stub)
    {
        _unmet.Clear();
        byte* uncovered = cover.LeadAgain(stub.Led);
        if (uncovered != null)
        {
            _unmet.Add((nint)uncovered);
        }

        floats.Retest(stub.Retest, _unmet);
        vectors.Load(stub.After);
        asm.Jump(stub.Place);
        if (_unmet.Count == 0)
        {
            return;
        }

        // Something is not met: a block of its own begins behind the instruction.
        for (int i = 0; i < _unmet.Count; i++)
        {
            asm.Bind((byte*)_unmet[i]);
        }

        asm.AluImmediate(Alu.Sub, true, HostRegisters.Remaining, stub.Count + 1);
        asm.Load(true, Reg.Rax, HostRegisters.CodePageVa);
        asm.Lea(true, Reg.Rax, Operand.At(Reg.Rax, stub.Op->Offset + 4));
        asm.Jump(thunks.LeaveForLookup);
    }

    // The bytes of a cover lie in two pages: goes on at its leader in a block in which each access does its own look-up.
    private void WriteApart(in Stub stub, byte* apart)
    {
        asm.Bind(apart);
        SettleState(stub);
        if (stub.Count > 0)
        {
            asm.AluImmediate(Alu.Sub, true, HostRegisters.Remaining, stub.Count);
        }

        asm.AlignDisplacement(1);
        byte* jump = asm.JumpForward();
        asm.Bind(jump);
        asm.Call(thunks.LeaveForApart);
        WriteInfo(new Stub { Kind = ExitKind.Apart, Op = stub.Op }, jump);
    }

    private static int CounterOf(in Stub stub) => stub.Kind switch
    {
        ExitKind.Interpret => ExitCounters.Of(stub.Reason, stub.Op),
        ExitKind.Link => ExitCounters.Link,
        ExitKind.Apart => ExitCounters.Apart,
        _ => ExitCounters.Attention,
    };
}
