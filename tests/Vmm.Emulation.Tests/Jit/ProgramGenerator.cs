using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Tests.InstructionOracle;

namespace Vmm.Emulation.Tests.Jit;

/// <summary>
/// Random programs that end by themselves: items of one instruction or a few that belong together, with branches from item to item. Every
/// backward branch counts X28 down; X27 is the base of memory and never changes; X24–X26 are used by items of several instructions.
/// </summary>
/// <param name="forQemu">
/// Without DC ZVA, of which QEMU's user mode has larger blocks, and misaligned atomics, which it executes (FEAT_LSE2).
/// </param>
/// <param name="scalable">With instructions of SVE.</param>
internal class ProgramGenerator(CaseGenerator random, bool forQemu = false, bool scalable = false)
{
    public const int Base = 27;
    public const int Counter = 28;
    protected const int Pointer = 26;
    protected const int Second = 25;
    protected const int Third = 24;

    private static readonly int[] s_plain = Rows(r => IsPlain(r) && !r.UsesVectors);

    private static readonly int[] s_plainOfQemu = Rows(r => IsPlain(r) && !r.UsesVectors && !CaseGenerator.IsOnlyOurs(r));

    // QEMU 7.2 is wrong about the one left out: see InstructionOracleTests.
    private static readonly int[] s_vector = Rows(r => IsPlain(r) && r.UsesVectors
        && r.Mnemonic != "FCVTZS, FCVTZU (scalar, fixed-point by shift) H");

    private static readonly int[] s_memory = Rows(r =>
        r.AccessesMemory && !IsExclusive(r) && !IsOperation(r) && !r.Mnemonic.Contains("literal", StringComparison.Ordinal));

    private static readonly int[] s_memoryOfQemu = [.. s_memory.Where(r => !CaseGenerator.IsOnlyOurs(EncodingTable.Rows[r]))];
    private static readonly int[] s_scalable = ScalableRows(accesses: false);
    private static readonly int[] s_scalableMemory = ScalableRows(accesses: true);

    // At a base register and a constant.
    private static readonly int[] s_near = Rows(r => r.Mnemonic.Split(' ')[0] is "LDR" or "STR"
        or "LDRB" or "STRB" or "LDRH" or "STRH" or "LDRSB" or "LDRSH" or "LDRSW" or "LDUR" or "STUR"
        or "LDURB" or "STURB" or "LDURH" or "STURH" or "LDURSB" or "LDURSH" or "LDURSW" or "LDP" or "STP" or "LDNP" or "STNP" or "LDPSW"
        && !r.Mnemonic.Contains("literal", StringComparison.Ordinal) && !r.Mnemonic.Contains("register offset", StringComparison.Ordinal));

    private static readonly int[] s_exclusives = Rows(r => IsExclusive(r) && (r.Value & (1u << 22)) != 0);
    private static readonly int[] s_literals = Rows(r => r.AccessesMemory && r.Mnemonic.Contains("literal", StringComparison.Ordinal));
    private static readonly int[] s_branches = Rows(r =>
        r.Mnemonic is "B" or "B.cond" or "CBZ 32" or "CBZ 64" or "CBNZ 32" or "CBNZ 64" or "TBZ" or "TBNZ");

    private enum Link
    {
        None,

        /// <summary>The last word is a branch, or an ADR for one, to another item.</summary>
        Branch,

        /// <summary>The first word is an ADR of another item.</summary>
        Address,
    }

    private readonly List<(uint[] Words, Link Link, int Target)> _items = [];

    protected CaseGenerator Random { get; } = random;

    /// <summary>Adds what only programs of a kind have.</summary>
    /// <param name="items">How many items the program is to have.</param>
    protected virtual void Special(int items)
    {
    }

    // Items that are one instruction without a purpose, or are to be one.
    private readonly HashSet<int> _plain = [];

    /// <summary>Items that are one instruction on general registers.</summary>
    protected List<int> PlainItems { get; } = [];

    /// <summary>A program of so many items, followed by the word that ends it, at which it may also be left.</summary>
    public uint[] Generate(int items, uint end)
    {
        _items.Clear();
        _plain.Clear();
        PlainItems.Clear();
        while (_items.Count < items)
        {
            int kind = _plain.Contains(_items.Count) ? 0 : Random.Next(32);
            switch (kind)
            {
                case < 10:
                    if (Plain() is var plain && plain != 0)
                    {
                        PlainItems.Add(_items.Count);
                        AddItem([plain]);
                    }

                    break;
                case < 16:
                    Add(scalable && Random.Next(2) == 0 ? Scalable() : Vector());
                    break;
                case < 20:
                    AddItem(scalable && Random.Next(2) == 0 ? ScalableAccess() : Access());
                    break;
                case < 22:
                    AddItem(Accesses());
                    break;
                case 22:
                    AddItem(Random.Next(3) == 0 ? CopyOrSet() : Exclusive());
                    break;
                case 23:
                    AddItem(SystemInstruction());
                    break;
                case < 28:
                    Forward(items);
                    break;
                case 28:
                    Indirect(items);
                    break;
                case 29:
                    Literal(items);
                    break;
                case 30 when _items.Count > 2:
                    // SUBS X28, X28, #1; B.GT to an item before.
                    _items.Add(([0xF100_0400 | (Counter << 5) | Counter, 0x5400_000C], Link.Branch,
                        _items.Count - 1 - Random.Next(Math.Min(_items.Count, 12))));
                    break;
                default:
                    Special(items);
                    break;
            }
        }

        return Assemble(end);
    }

    /// <summary>An instruction on general registers that keeps those with a purpose; 0 when none was found.</summary>
    protected uint Plain() => Word(forQemu ? s_plainOfQemu : s_plain);

    /// <summary>An instruction on SIMD and FP registers; 0 when none was found.</summary>
    protected uint Vector() => Word(s_vector) is var word && Agrees(word) ? word : 0;

    private uint Scalable() => Word(s_scalable) is var word && Agrees(word) ? word : 0;

    /// <summary>Lets an item that is still to come be one instruction on general registers.</summary>
    protected void KeepPlain(int item) => _plain.Add(item);

    /// <summary>An item whose first word is the ADR of another.</summary>
    protected void AddAddressItem(uint[] words, int target) => _items.Add((words, Link.Address, target));

    protected void AddItem(uint[] words)
    {
        if (words.Length > 0)
        {
            _items.Add((words, Link.None, 0));
        }
    }

    protected int Items => _items.Count;

    // Of one instruction.
    private void Add(uint word)
    {
        if (word != 0)
        {
            AddItem([word]);
        }
    }

    private uint Word(int[] rows)
    {
        uint word = Random.Word(rows[Random.Next(rows.Length)]);
        return word != 0 && KeepsReserved(word) ? word : 0;
    }

    private void Forward(int items)
    {
        uint word = Random.Word(s_branches[Random.Next(s_branches.Length)]);
        int target = Math.Min(items, _items.Count + 1 + Random.Next(6));
        if (word >> 26 == 5 && Random.Next(2) == 0)
        {
            // BL.
            word |= 1u << 31;
        }

        _items.Add(([word], Link.Branch, target));
    }

    // ADR X25, item; BR, BLR or RET X25.
    private void Indirect(int items)
    {
        uint branch = Random.Next(3) switch { 0 => 0xD61F_0000u, 1 => 0xD63F_0000u, _ => 0xD65F_0000u };
        _items.Add(([0x1000_0000 | Second, branch | (Second << 5)], Link.Address, Math.Min(items, _items.Count + 1 + Random.Next(6))));
    }

    // Words of the program itself, behind.
    private void Literal(int items)
    {
        uint word = Word(s_literals);
        if (word != 0)
        {
            _items.Add(([word], Link.Branch, Math.Min(items, _items.Count + Random.Next(4))));
        }
    }

    /// <summary>X26 = an address in memory, with the words that make it.</summary>
    protected virtual uint[] MakePointer(bool aligned, int reach = 64)
    {
        // ADD X26, X27, #0–63, or SUB.
        uint offset = aligned ? (uint)Random.Next(reach / 16) * 16 : (uint)Random.Next(reach);
        return [(Random.Next(2) == 0 ? 0x9100_0000u : 0xD100_0000u) | (offset << 10) | (Base << 5) | Pointer];
    }

    // A load or store at X26, or near by: of any form, with write-back too.
    private uint[] Access()
    {
        int[] rows = forQemu ? s_memoryOfQemu : s_memory;
        uint word = Random.Word(rows[Random.Next(rows.Length)]);
        if (word == 0 || !Agrees(word))
        {
            return [];
        }

        word = (word & ~(31u << 5)) | (Pointer << 5);
        uint top = (word >> 24) & 0x3F;
        bool exclusiveGroup = top == 0b001000;
        bool atomic = (top & 0b111011) == 0b111000 && ((word >> 21) & 1) != 0 && ((word >> 10) & 3) == 0;
        bool ordered = top == 0b011001;
        bool registerOffset = (top & 0b111011) == 0b111000 && ((word >> 21) & 1) != 0 && ((word >> 10) & 3) == 2;
        bool mustAlign = exclusiveGroup || atomic || ordered;
        bool structure = (top & 0b111110) == 0b001100;
        var words = new List<uint>(MakePointer(aligned: mustAlign ? forQemu || Random.Next(8) != 0 : Random.Next(3) == 0));
        if ((top & 0b111010) == 0b101000)
        {
            // Pairs: offsets of at most three.
            word &= ~(0x7Cu << 15);
        }
        else if ((top & 0b111011) == 0b111001)
        {
            word &= ~(0xFFCu << 10);
        }
        else if (ordered)
        {
            // No offset, or one of 16.
            word &= ~(0x1EFu << 12);
        }
        else if (registerOffset)
        {
            // MOVZ X25, #0–3.
            words.Add(0xD280_0000 | ((uint)Random.Next(4) << 5) | Second);
            word = (word & ~(31u << 16)) | (Second << 16);
        }
        else if (!exclusiveGroup && !atomic && !structure)
        {
            word &= ~(0x1C0u << 12);
        }

        // Write-back to X26 with X26 as an operand is CONSTRAINED UNPREDICTABLE.
        bool clashes = (word & 31) == Pointer || ((word >> 10) & 31) == Pointer || ((word >> 16) & 31) == Pointer;
        if (clashes || !KeepsReserved(word) || (structure && ((word >> 16) & 31) is Base or Counter))
        {
            return [];
        }

        words.Add(word);
        return [.. words];
    }

    // Not what QEMU 10.0 does otherwise with SVE: it keeps the rest of Z where it should become zero, first-fault loads end earlier, and
    // permutations of quadwords and FMMLA of doublewords exist at 128 bits.
    private bool Agrees(uint word)
    {
        if (!forQemu || !scalable || EncodingTable.Find(word) is not (>= 0 and var row))
        {
            return true;
        }

        ref EncodingRow encoding = ref EncodingTable.Rows[row];
        return encoding.Operation is not (Operation.Shll or Operation.LdSingle) && !ScalableOracleTests.IsFirstFaultGather(word)
            && encoding.Mnemonic != "FMMLA" && !encoding.Mnemonic.EndsWith("(vectors, 128 bits)", StringComparison.Ordinal)
            && !encoding.Mnemonic.StartsWith("LDFF1", StringComparison.Ordinal)
            && !encoding.Mnemonic.StartsWith("LDNF1", StringComparison.Ordinal);
    }

    // A load or store of SVE at X26 or near by. A vector of addresses or offsets is made before, and X25 is another offset.
    private uint[] ScalableAccess()
    {
        int row = s_scalableMemory[Random.Next(s_scalableMemory.Length)];
        ref EncodingRow encoding = ref EncodingTable.Rows[row];
        uint word = Random.Word(row) & ~ImmediateOf(encoding);
        if (!encoding.Matches(word) || !KeepsReserved(word) || !Agrees(word))
        {
            return [];
        }

        // SUB X26, X26, #48: what is loaded or stored ends less than 200 bytes behind.
        var words = new List<uint>(MakePointer(aligned: Random.Next(3) == 0, reach: 16)) { 0xD100_C000 | (Pointer << 5) | Pointer };
        bool addresses = (encoding.Effects & Effects.ReadRn) == 0;
        uint size = ScalableCaseGenerator.HasWords(encoding, word) ? 2u << 22 : 3u << 22;
        uint rm = (word >> 16) & 31;
        if (addresses)
        {
            // INDEX Zn, X26, #0–7.
            words.Add(0x0420_4400 | size | ((uint)Random.Next(8) << 16) | (Pointer << 5) | ((word >> 5) & 31));
        }
        else
        {
            word = (word & ~(31u << 5)) | (Pointer << 5);
        }

        if ((encoding.Effects & Effects.ReadRm) != 0)
        {
            words.Add(0xD280_0000 | ((uint)Random.Next(4) << 5) | Second);
            word = (word & ~(31u << 16)) | (Second << 16);
        }
        else if (!addresses && ImmediateOf(encoding) == 0)
        {
            // INDEX Zm, #0–3, #0–3.
            words.Add(0x0420_4000 | size | ((uint)Random.Next(4) << 16) | ((uint)Random.Next(4) << 5) | rm);
        }

        words.Add(word);
        return [.. words];
    }

    // The bits of the immediate of a row.
    private static uint ImmediateOf(in EncodingRow encoding)
    {
        uint mask = 0;
        foreach (char c in encoding.Pattern.Where(c => c != ' '))
        {
            mask = (mask << 1) | (c is 'i' or 'j' ? 1u : 0);
        }

        return mask;
    }

    // Several accesses near each other at one base register, which translated code looks up together. In between the base is moved or
    // written, or other instructions come.
    private uint[] Accesses()
    {
        // SP keeps its value.
        bool stack = Random.Next(4) == 0;
        uint pointer = stack ? 31u : Pointer;
        var words = new List<uint>(stack ? [] : MakePointer(aligned: Random.Next(2) == 0, reach: 16));
        bool moved = stack;
        for (int i = 2 + Random.Next(5); i > 0; i--)
        {
            uint word = Random.Word(s_near[Random.Next(s_near.Length)]);
            bool unsigned = (word & (1u << 24)) != 0 && (word & (0b111u << 27)) == 0b111u << 27;
            bool pair = (word & (0b111u << 27)) == 0b101u << 27;
            bool index = !unsigned && (word & (pair ? 1u << 23 : 1u << 10)) != 0;
            uint far = unsigned ? 0xFFEu << 10 : pair ? 0x7Eu << 15 : 0x1E0u << 12;
            word = (word & ~(31u << 5)) | (pointer << 5);
            word = unsigned || Random.Next(2) == 0 ? word & ~far : word | far;
            bool clashes = !stack && ((word & 31) == Pointer || (pair && ((word >> 10) & 31) == Pointer));
            if (word == 0 || !KeepsReserved(word) || (clashes && index) || (index && moved))
            {
                continue;
            }

            moved |= index;
            words.Add(word);
            switch (Random.Next(8))
            {
                case 0 when !moved:
                    // ADD or SUB X26, X26, #0–31.
                    words.Add((Random.Next(2) == 0 ? 0x9100_0000u : 0xD100_0000u)
                        | ((uint)Random.Next(32) << 10) | (Pointer << 5) | Pointer);
                    moved = true;
                    break;
                case 1 when Plain() is var plain && plain != 0 && (plain & 31) != Pointer:
                    words.Add(plain);
                    break;
            }

            if (clashes)
            {
                break;
            }
        }

        return [.. words];
    }

    // CLREX; a load-exclusive at X26, sometimes something else, the store that belongs to it; CLREX: QEMU does not compare the size.
    private uint[] Exclusive()
    {
        const uint clearExclusive = 0xD503_3F5F;
        uint load = (Word(s_exclusives) & ~(31u << 5)) | (Pointer << 5);
        uint status = (uint)Random.Next(24);
        bool pair = ((load >> 21) & 1) != 0;
        uint rt = load & 31;
        uint rt2 = (load >> 10) & 31;
        if (load >> 24 == 0 || !KeepsReserved(load) || rt is >= 24 and <= 28 || (pair && rt2 is >= 24 and <= 28)
            || status == rt || (pair && (status == rt2 || rt == rt2)))
        {
            return [];
        }

        uint store = (load & ~((1u << 22) | (31u << 16))) | (status << 16);
        return
        [
            .. MakePointer(aligned: true), clearExclusive, load,
            .. Random.Next(3) == 0 ? new[] { 0x9100_0400 | (rt << 5) | (rt == 31 ? 0 : rt) } : [],
            store, clearExclusive,
        ];
    }

    // A copy near by, or a set, of up to 63 bytes: X25 = X26 and an offset, X24 = the size, and the three instructions.
    private uint[] CopyOrSet()
    {
        uint registers = (Second << 16) | (Third << 5) | Pointer;
        uint[] make =
        [
            .. MakePointer(aligned: false, reach: 32), 0x9100_0000 | ((uint)Random.Next(48) << 10) | (Pointer << 5) | Second,
            0xD280_0000 | ((uint)Random.Next(64) << 5) | Third,
        ];
        uint copy = 0x1900_0400 | ((uint)Random.Next(2) << 26) | registers;
        uint set = 0x19C0_0400 | registers;
        return Random.Next(3) == 0
            ? [.. make, set, set | (1 << 14), set | (2 << 14)]
            : [.. make, copy, copy | (1 << 22), copy | (2 << 22)];
    }

    // NZCV, FPSR and FPCR; DC ZVA.
    private uint[] SystemInstruction()
    {
        uint register = (uint)Random.Next(24);
        if (!forQemu && Random.Next(3) == 0)
        {
            return SignAndAuthenticate();
        }

        return Random.Next(7) switch
        {
            0 => [0xD53B_4200 | register],
            1 => [0xD51B_4200 | register],
            2 => [0xD53B_4420 | register],
            3 when !forQemu => [.. MakePointer(aligned: false), 0xD50B_7420 | Pointer],
            3 or 4 => [0xD503_3BBF],

            // MOVZ X25, #modes, LSL #16; MSR FPCR, X25: AHP, DN, FZ, RMode, FZ16.
            5 => [0xD2A0_0000 | ((uint)(Random.Next(0x800) & 0x7C8) << 5) | Second, 0xD51B_4400 | Second],
            _ => [0xD51B_4400 | 31],
        };
    }

    // PACIA and its kin of a register, sometimes something else, and the AUTIA that belongs to it: of X26 by X25, or of what they hold.
    private uint[] SignAndAuthenticate()
    {
        uint key = (uint)Random.Next(4) << 10;
        uint pointer = Random.Next(3) == 0 ? (uint)Random.Next(24) : Pointer;
        uint registers = 0xDAC1_0000 | (Second << 5) | pointer | key;
        uint[] stripped = Random.Next(4) == 0 ? [0xDAC1_43E0 | (uint)Random.Next(24)] : [];
        uint plain = Plain();
        uint[] between = plain != 0 && (plain & 31) is not (Second or Pointer) ? [plain] : [];
        return pointer == Pointer
            ? [.. MakePointer(aligned: false), registers, .. between, registers | 1 << 12, .. stripped]
            : [registers, .. stripped];
    }

    private uint[] Assemble(uint end)
    {
        var offsets = new int[_items.Count + 1];
        for (int i = 0; i < _items.Count; i++)
        {
            offsets[i + 1] = offsets[i] + _items[i].Words.Length;
        }

        var program = new List<uint>();
        for (int i = 0; i < _items.Count; i++)
        {
            (uint[] words, Link link, int target) = _items[i];
            for (int n = 0; n < words.Length; n++)
            {
                bool linked = (link == Link.Branch && n == words.Length - 1) || (link == Link.Address && n == 0);
                program.Add(linked ? Aimed(words[n], offsets[target] - offsets[i] - n) : words[n]);
            }
        }

        program.Add(end);
        return [.. program];
    }

    // A branch, ADR or literal load, to so many words further.
    private static uint Aimed(uint word, int distance)
    {
        uint bits = (uint)distance;
        if ((word & 0x7C00_0000) == 0x1400_0000)
        {
            return (word & ~0x03FF_FFFFu) | (bits & 0x03FF_FFFF);
        }

        if ((word & 0x1F00_0000) == 0x1000_0000 && (word & 0xFF00_0000) != 0x5400_0000)
        {
            return (word & ~0x00FF_FFE0u) | ((bits & 0x7FFFF) << 5);
        }

        return ((word >> 25) & 0x3F) == 0b011011
            ? (word & ~(0x3FFFu << 5)) | ((bits & 0x3FFF) << 5)
            : (word & ~(0x7FFFFu << 5)) | ((bits & 0x7FFFF) << 5);
    }

    // Not one that writes X27, X28 or SP.
    protected static unsafe bool KeepsReserved(uint word)
    {
        Op op = default;
        op.Word = word;
        int row = EncodingTable.Find(word);
        if (row < 0)
        {
            return false;
        }

        EncodingTable.Rows[row].Form(&op);
        bool pairOfStatus = (word & 0x3FA0_7C00) == 0x0820_7C00;
        bool load = EncodingTable.Rows[row].AccessesMemory;
        uint rs = (word >> 16) & 31;
        return op.Rd is not (Base or Counter or CpuState.Sp) && op.Ra is not (Base or Counter)
            && (word & 31) is not (Base or Counter) && !(load && rs is Base or Counter) && !(pairOfStatus && rs is Base - 1 or Counter - 1)
            && !(pairOfStatus && (word & 31) is Base - 1);
    }

    private static bool IsExclusive(EncodingRow row)
    {
        string verb = row.Mnemonic.Split(' ')[0];
        return verb.StartsWith("LDX", StringComparison.Ordinal) || verb.StartsWith("LDAX", StringComparison.Ordinal)
            || verb.StartsWith("STX", StringComparison.Ordinal) || verb.StartsWith("STLX", StringComparison.Ordinal);
    }

    private static bool IsOperation(EncodingRow row) => row.Operation is >= Operation.Cpyfp and <= Operation.Sete;

    private static bool IsPlain(EncodingRow row) => !row.AccessesMemory && !row.IsSystem && !row.May(Effects.Jump);

    private static int[] ScalableRows(bool accesses) => [.. Enumerable.Range(0, EncodingTable.Rows.Length).Where(i =>
        EncodingTable.Rows[i].IsScalable && (EncodingTable.Rows[i].Effects & (Effects.Load | Effects.Store)) != 0 == accesses)];

    private static int[] Rows(Func<EncodingRow, bool> which) =>
        [.. Enumerable.Range(0, EncodingTable.Rows.Length).Where(i => !EncodingTable.Rows[i].IsScalable && which(EncodingTable.Rows[i]))];
}
