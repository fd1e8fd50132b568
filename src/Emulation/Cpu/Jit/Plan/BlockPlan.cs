using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit.Plan;

/// <summary>
/// What is known of a block before code is made of it, whatever the host: how long it is, where its branches go inside it, where flags
/// are wanted, and which accesses can be looked up together. A block goes from its first instruction on, past conditional branches, to an
/// unconditional one, the end of the page, or code that is there already. Owner: whoever holds the lock of the translation cache.
/// </summary>
/// <param name="translated">Of each row of <see cref="EncodingTable"/>, whether code is made of it; all others are left to the
/// interpreter.</param>
/// <param name="allFlags">Whether flags are wanted everywhere: lockstep compares them.</param>
internal sealed unsafe class BlockPlan(CodeCache code, bool[] translated, bool allFlags) : IDisposable
{
    /// <summary>Instructions of a block at most.</summary>
    public const int MaxLength = 128;

    // Bytes that are looked up together at most: more would lie in two pages too often.
    private const int MaxReach = 256;

    // Instructions behind a load or store among which others are looked for that can share its look-up.
    private const int MaxAhead = 32;

    private readonly PageDecoder _decoder = new(code);
    private readonly bool[] _isLabel = new bool[MaxLength];
    private readonly bool[] _isEntry = new bool[MaxLength];
    private readonly bool[] _wanted = new bool[MaxLength + 1];
    private readonly bool[] _inLoop = new bool[MaxLength];
    private bool _hasLoop;

    /// <summary>The page that the block is in.</summary>
    public CodePage Page { get; private set; } = null!;

    /// <summary>
    /// Each access does its own look-up. Such a block is made where accesses that were looked up together turned out to lie in two pages.
    /// </summary>
    public bool IsApart { get; private set; }

    /// <summary>The vector length of SVE, in bytes, that code is made for; 0 without SVE.</summary>
    public int ScalableLength { get; private set; }

    /// <summary>See <see cref="CodeCache.CountsBranches"/>.</summary>
    public bool CountsBranches => code.CountsBranches;

    /// <summary>The word of the page that the block begins with.</summary>
    public int First { get; private set; }

    /// <summary>Instructions of the block.</summary>
    public int Length { get; private set; }

    /// <summary>
    /// Lines of the page, by bit, that the block depends on: they have a word of it, or were looked at to see whether flags are wanted.
    /// </summary>
    public ulong Lines => _decoder.Lines;

    /// <summary>The decoded op of an instruction of the block.</summary>
    public Op* At(int index) => _decoder.First + First + index;

    /// <summary>The op of a word of the page. Its offset is valid, and the rest only if the word is in the block.</summary>
    public Op* OfWord(int word) => _decoder.First + word;

    /// <summary>Whether a branch of the block goes to an instruction, or it is the first.</summary>
    public bool IsLabel(int index) => _isLabel[index];

    /// <summary>Whether code from outside may enter there: the first instruction, and the target of a backward branch.</summary>
    public bool IsEntry(int index) => _isEntry[index];

    /// <summary>Whether an instruction is between a backward branch and its target.</summary>
    public bool IsInLoop(int index) => _inLoop[index];

    /// <summary>Whether flags are wanted before an instruction; of <see cref="Length"/>, behind the last.</summary>
    public bool AreFlagsWanted(int index) => _wanted[index];

    /// <summary>Plans a block from a word of a page on.</summary>
    /// <param name="page">Has its number.</param>
    /// <param name="apart">Each access does its own look-up: see <see cref="IsApart"/>.</param>
    /// <param name="scalableLength">See <see cref="ScalableLength"/>.</param>
    public void Make(CodePage page, int word, bool apart, int scalableLength)
    {
        Page = page;
        IsApart = apart;
        ScalableLength = scalableLength;
        _decoder.Open(page);
        First = word;
        Delimit();
        FindLabels();
        FindWantedFlags();
    }

    /// <summary>Forgets what was decoded of lines of a page.</summary>
    public void Forget(CodePage page, ulong lines) => _decoder.Forget(page, lines);

    public void Dispose() => _decoder.Dispose();

    // Finds how long the block is, and decodes all its ops.
    private void Delimit()
    {
        Length = 0;
        while (Length < MaxLength && First + Length < CodePage.Words)
        {
            if (Length > 0 && Page.Entry(First + Length) != 0)
            {
                return;
            }

            Op* op = _decoder.At(First + Length++);
            if (SeldomFallsThrough(op) || IsUnconditional(op->Word))
            {
                return;
            }
        }
    }

    /// <summary>B, BL, BR, BLR, RET.</summary>
    public static bool IsUnconditional(uint word) => (word & 0x7C00_0000) == 0x1400_0000 || (word & 0xFF9F_0000) == 0xD61F_0000;

    /// <summary>SVC, HVC, SMC, BRK and what is UNDEFINED; ERET.</summary>
    public static bool SeldomFallsThrough(Op* op) => !op->IsAllocated || (op->Word & 0xFF00_0000) == 0xD400_0000 || op->Word == 0xD69F_03E0;

    // Where branches of the block go inside it. A backward one makes an entry, at which attention is tested. In a block that is apart it
    // makes none: it leads to code of another block.
    private void FindLabels()
    {
        for (int i = 0; i < Length; i++)
        {
            _isLabel[i] = _isEntry[i] = i == 0;
            _inLoop[i] = false;
        }

        _hasLoop = false;

        for (int i = 0; i < Length; i++)
        {
            int target = TargetWord(At(i)) - First;
            if (target >= 0 && target < Length)
            {
                if (target <= i)
                {
                    _hasLoop = true;
                    Array.Fill(_inLoop, true, target, i + 1 - target);
                }

                if (target > i || !IsApart)
                {
                    _isLabel[target] = true;
                    _isEntry[target] |= target <= i;
                }
            }
        }
    }

    /// <summary>The word of the page that a direct branch goes to; -1 for other instructions, and for a branch to another page.</summary>
    public static int TargetWord(Op* op)
    {
        if (!op->IsAllocated || (EncodingTable.Rows[op->Row].Effects & Effects.Jump) == 0 || op->Word >> 25 == 0b1101011)
        {
            return -1;
        }

        ulong offset = op->Offset + op->Imm;
        return offset < CodePage.Words * 4 ? (int)(offset >> 2) : -1;
    }

    // Whether flags are wanted before each instruction, found backwards from the ways out of the block. The head of a loop is seen after
    // its backward branch, so a block with a loop is gone through until nothing changes.
    private void FindWantedFlags()
    {
        if (allFlags)
        {
            Array.Fill(_wanted, true);
            return;
        }

        Array.Clear(_wanted, 0, Length);
        while (PropagateWantedFlags())
        {
        }
    }

    private bool PropagateWantedFlags()
    {
        bool changed = false;
        bool wanted = true;
        Op* last = At(Length - 1);
        if (!SeldomFallsThrough(last) && !IsUnconditional(last->Word))
        {
            wanted = FlagsWantedAtWord(First + Length);
        }

        _wanted[Length] = wanted;
        for (int i = Length - 1; i >= 0; i--)
        {
            Op* op = At(i);
            int target = TargetWord(op);
            if (!op->IsAllocated)
            {
                wanted = true;
            }
            else
            {
                switch (FlagEffects.OfRow(op->Row))
                {
                    case FlagEffect.Reads:
                        wanted = true;
                        break;
                    case FlagEffect.Sets:
                        wanted = false;
                        break;
                    default:
                        if (IsUnconditional(op->Word))
                        {
                            wanted = target < 0 || FlagsWantedAtWord(target);
                        }
                        else if (target >= 0)
                        {
                            wanted |= FlagsWantedAtWord(target);
                        }
                        else if (EncodingTable.Rows[op->Row].May(Effects.Jump))
                        {
                            wanted = true;
                        }

                        break;
                }
            }

            // The target of a backward branch comes later in this pass.
            changed |= wanted && !_wanted[i];
            _wanted[i] = wanted;
        }

        return changed && _hasLoop;
    }

    /// <summary>Whether flags are wanted at a word of the page, in the block or outside.</summary>
    public bool FlagsWantedAtWord(int word)
    {
        int index = word - First;
        return allFlags || word >= CodePage.Words || (index >= 0 && index < Length ? _wanted[index] : FlagEffects.WantedAt(_decoder, word));
    }

    /// <summary>
    /// Widens the bytes that a load or store accesses by those that others behind it access, of the same kind and at the same base
    /// register.
    /// </summary>
    /// <param name="index">The instruction: a load or store at its base register and a constant.</param>
    /// <param name="write">Whether it is a store.</param>
    /// <param name="from">The first of the bytes, from what the base register holds before the instruction.</param>
    /// <param name="to">The place behind the last of them.</param>
    /// <returns>Whether there are any others.</returns>
    public bool Reach(int index, bool write, ref int from, ref int to)
    {
        int slot = At(index)->Rn;
        bool any = false;
        int moved = 0;
        int end = Math.Min(Length, index + MaxAhead);
        for (int i = index; i < end; i++)
        {
            Op* op = At(i);
            if (i > index)
            {
                if (_isLabel[i] || !op->IsAllocated || !translated[op->Row])
                {
                    break;
                }

                (AccessForm form, AddressMode mode) = BaseAccess.Of(op);
                if (op->Rn == slot && form != AccessForm.None && mode != AddressMode.Register && BaseAccess.IsStore(op, form) == write)
                {
                    int first = moved + BaseAccess.OffsetOf(op, mode);
                    int low = Math.Min(from, first);
                    int high = Math.Max(to, first + BaseAccess.SizeOf(op, form));
                    if (high - low <= MaxReach)
                    {
                        (from, to, any) = (low, high, true);
                    }
                }
            }

            if (OpEffects.MayWrite(op, slot))
            {
                if (!BaseAccess.Moves(op, slot, out int by))
                {
                    break;
                }

                moved += by;
            }
        }

        return any;
    }
}
