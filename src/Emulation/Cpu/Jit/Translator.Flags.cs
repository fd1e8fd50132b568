using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>
/// NZCV: SF, ZF and OF are N, Z and V; CF is C after an addition and its opposite after a subtraction. What is wanted and about to be overwritten goes to
/// memory in four instructions, and comes back in three.
/// </content>
internal sealed unsafe partial class Translator
{
    // x86 conditions of the sixteen Arm ones, where CF is the opposite of C.
    private static readonly Condition[] s_conditions =
    [
        Condition.Equal, Condition.NotEqual, Condition.AboveOrEqual, Condition.Below, Condition.Sign, Condition.NotSign, Condition.Overflow,
        Condition.NotOverflow, Condition.Above, Condition.BelowOrEqual, Condition.GreaterOrEqual, Condition.Less, Condition.Greater, Condition.LessOrEqual,
    ];

    private bool _flagsInHost;
    private bool _flagsInMemory;

    // CF is the opposite of C.
    private bool _borrow;

    // The emitted instruction has set them.
    private void FlagsSet(bool borrow)
    {
        _flagsInHost = true;
        _flagsInMemory = false;
        _borrow = borrow;
    }

    // Before something that overwrites EFLAGS. Uses RAX.
    private void LoseHostFlags()
    {
        SettleFlags(_wanted[_index]);
        ForgetHostFlags();
    }

    // From here on they are in memory, where they were wanted.
    private void ForgetHostFlags()
    {
        _flagsInHost = false;
        _flagsInMemory = true;
    }

    // Puts them into memory, where they are wanted; they stay in EFLAGS. Uses RAX.
    private void SettleFlags(bool wanted)
    {
        if (_flagsInHost && !_flagsInMemory && wanted)
        {
            SetBorrow(false);
            _a.FlagsToAh();
            _a.SetByte(Condition.Overflow, Rax);
            _a.Store(false, HostRegisters.HostFlags, Rax);
            _flagsInMemory = true;
        }
    }

    // Gets them into EFLAGS. Uses RAX.
    private void NeedHostFlags()
    {
        if (!_flagsInHost)
        {
            _a.Load(false, Rax, HostRegisters.HostFlags);
            _a.AddToAl(127);
            _a.FlagsFromAh();
            _flagsInHost = true;
            _borrow = false;
        }
    }

    private void SetBorrow(bool borrow)
    {
        if (_borrow != borrow)
        {
            _a.ComplementCarry();
            _borrow = borrow;
        }
    }

    // The host's condition for one of the guest's, below AL. Uses RAX.
    private Condition NeedCondition(int condition)
    {
        NeedHostFlags();
        if (condition is 8 or 9)
        {
            SetBorrow(true);
        }

        Condition host = s_conditions[condition];
        return condition is 2 or 3 && !_borrow ? Opposite(host) : host;
    }

    private static Condition Opposite(Condition condition) => (Condition)((int)condition ^ 1);
}
