using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.Plan;
using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>
/// NZCV: SF, ZF and OF are N, Z and V; CF is C after an addition and its opposite after a subtraction. What is wanted and about to be
/// overwritten goes to memory in four instructions, and comes back in three. Neither is needed while the registers that flags were made of
/// still tell them: then they are made again where they are read, mostly by one comparison.
/// </content>
internal sealed unsafe partial class Translator
{
    // What made flags that can be made again of registers.
    private enum Recipe : byte
    {
        None,
        Subtract,
        Add,
        And,
    }

    // x86 conditions of the sixteen Arm ones, where CF is the opposite of C.
    private static readonly Condition[] s_conditions =
    [
        Condition.Equal, Condition.NotEqual, Condition.AboveOrEqual, Condition.Below, Condition.Sign, Condition.NotSign, Condition.Overflow,
        Condition.NotOverflow, Condition.Above, Condition.BelowOrEqual, Condition.GreaterOrEqual, Condition.Less,
        Condition.Greater, Condition.LessOrEqual,
    ];

    private static readonly Recipe[] s_recipes = [.. EncodingTable.Rows.Select(row => row.Operation switch
    {
        Operation.SubsImmediate or Operation.SubsRegister or Operation.SubsShiftedRegister => Recipe.Subtract,
        Operation.AddsImmediate or Operation.AddsRegister or Operation.AddsShiftedRegister => Recipe.Add,
        Operation.AndsImmediate or Operation.AndsRegister or Operation.AndsShiftedRegister => Recipe.And,
        _ => Recipe.None,
    })];

    // Where flags are; where they are in neither, registers tell them.
    private bool _flagsInHost;
    private bool _flagsInMemory;

    // CF is the opposite of C.
    private bool _borrow;

    // The instruction whose registers tell the flags that are in force; null where none does.
    private Op* _flagSource;

    // The emitted instruction has set them.
    private void FlagsSet(bool borrow)
    {
        _flagsInHost = true;
        _flagsInMemory = false;
        _borrow = borrow;
        Op* op = _plan.At(_index);
        _flagSource = CanRemake(op) ? op : null;
    }

    // Before something that overwrites EFLAGS. Uses RAX where they are wanted and no register tells them.
    private void LoseHostFlags()
    {
        if (_flagSource == null)
        {
            SettleFlags(_plan.AreFlagsWanted(_index));
            _flagsInMemory = true;
        }

        _flagsInHost = false;
    }

    // From here on they are in memory, where they were wanted.
    private void ForgetHostFlags()
    {
        _flagsInHost = false;
        _flagsInMemory = true;
        _flagSource = null;
    }

    // Whose registers tell flags that are wanted and in neither place; 0 for none.
    private nint UnsettledFlags() => !_flagsInHost && !_flagsInMemory && _plan.AreFlagsWanted(_index) ? (nint)_flagSource : 0;

    // In a stub: flags that UnsettledFlags told of go to memory.
    private void SettleFlagsOf(Op* source)
    {
        _flagsInHost = _flagsInMemory = false;
        _flagSource = source;
        SettleFlags(true);
    }

    // Puts them into memory, where they are wanted; they stay in EFLAGS. Uses RAX and RCX.
    private void SettleFlags(bool wanted)
    {
        if (_flagsInMemory || !wanted)
        {
            return;
        }

        if (!_flagsInHost)
        {
            Remake(_flagSource);
        }

        SetBorrow(false);
        _a.FlagsToAh();
        _a.SetByte(Condition.Overflow, Rax);
        _a.Store(false, HostRegisters.HostFlags, Rax);
        _flagsInMemory = true;
    }

    // Gets them into EFLAGS. Uses RAX and RCX.
    private void NeedHostFlags()
    {
        if (_flagsInHost)
        {
            return;
        }

        if (_flagSource != null)
        {
            Remake(_flagSource);
            return;
        }

        _a.Load(false, Rax, HostRegisters.HostFlags);
        _a.AddToAl(127);
        _a.FlagsFromAh();
        _flagsInHost = true;
        _borrow = false;
    }

    private void SetBorrow(bool borrow)
    {
        if (_borrow != borrow)
        {
            _a.ComplementCarry();
            _borrow = borrow;
        }
    }

    // The host's condition for one of the guest's, below AL. Uses RAX and RCX.
    private Condition NeedCondition(int condition)
    {
        if (!_flagsInHost && _flagSource != null && _flagSource->Rd == _flagSource->Rn && condition is 0 or 1 or 4 or 5)
        {
            // Z and N are the result's; the flags as a whole stay where they are.
            Copy(Rcx, _flagSource->Rd, Wide(_flagSource));
            _a.Test(Wide(_flagSource), Rcx, Rcx);
            return s_conditions[condition];
        }

        NeedHostFlags();
        if (condition is 8 or 9)
        {
            SetBorrow(true);
        }

        Condition host = s_conditions[condition];
        return condition is 2 or 3 && !_borrow ? Opposite(host) : host;
    }

    private static Condition Opposite(Condition condition) => (Condition)((int)condition ^ 1);

    // ---- Making them again ----

    private static bool IsImmediate(Op* op) =>
        EncodingTable.Rows[op->Row].Operation is Operation.SubsImmediate or Operation.AddsImmediate or Operation.AndsImmediate;

    // Whether flags that an instruction has set can be told by registers: by its sources; by the result and what was added to it; of ANDS
    // by the result.
    private static bool CanRemake(Op* op) => s_recipes[op->Row] switch
    {
        Recipe.None => false,
        Recipe.And when op->Rd != CpuState.Sink => true,
        _ when IsImmediate(op) => true,
        _ => op->Shift == 0 && op->Rd != op->Rm,
    };

    // Before an instruction that may write what tells the flags.
    private void KeepFlagsFrom(Op* op)
    {
        if (_flagSource == null || (op->IsAllocated && !MayWriteSource(op, _flagSource)))
        {
            return;
        }

        if (!_flagsInHost)
        {
            SettleFlags(_plan.AreFlagsWanted(_index));
            _flagsInMemory = true;
            _flagsInHost = false;
        }

        _flagSource = null;
    }

    private static bool MayWriteSource(Op* op, Op* source) =>
        s_recipes[source->Row] == Recipe.And && source->Rd != CpuState.Sink
            ? OpEffects.MayWrite(op, source->Rd)
            : OpEffects.MayWrite(op, source->Rn) || (!IsImmediate(source) && OpEffects.MayWrite(op, source->Rm));

    // Uses RCX.
    private void Remake(Op* source)
    {
        bool wide = Wide(source);
        Recipe recipe = s_recipes[source->Row];
        if (recipe == Recipe.And)
        {
            RemakeLogic(source, wide);
        }
        else
        {
            // Where the result replaced its source, that is what the result was made of.
            bool subtract = recipe == Recipe.Subtract;
            Copy(Rcx, source->Rn, wide);
            if (source->Rd == source->Rn)
            {
                Combine(subtract ? Alu.Add : Alu.Sub, source);
            }

            Combine(subtract ? Alu.Cmp : Alu.Add, source);
        }

        _flagsInHost = true;
        _borrow = recipe == Recipe.Subtract;
    }

    // RCX = RCX op the second source.
    private void Combine(Alu operation, Op* source)
    {
        if (IsImmediate(source))
        {
            _a.AluImmediate(operation, Wide(source), Rcx, (int)source->Imm);
        }
        else
        {
            _a.Alu(operation, Wide(source), Rcx, Place(source->Rm));
        }
    }

    private void RemakeLogic(Op* source, bool wide)
    {
        if (source->Rd != CpuState.Sink)
        {
            Copy(Rcx, source->Rd, wide);
            _a.Test(wide, Rcx, Rcx);
            return;
        }

        if (IsImmediate(source))
        {
            _a.LoadImmediate(Rcx, source->Imm);
        }
        else
        {
            Copy(Rcx, source->Rm, wide);
        }

        _a.Test(wide, Place(source->Rn), Rcx);
    }
}
