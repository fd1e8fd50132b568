using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Decoding;

/// <summary>
/// One encoding of the A64 instruction set, as data: the tables in <c>Tables/</c> hold one row each, grouped as in Arm ARM C4.
/// </summary>
public readonly unsafe struct EncodingRow
{
    private const Effects AnyVector =
        Effects.ReadVd | Effects.ReadVn | Effects.ReadVm | Effects.ReadVa | Effects.WriteVd | Effects.WriteVa;

    /// <param name="pattern">
    /// The 32 bits from 31 down to 0 as in the Arm ARM's diagrams: <c>0</c> and <c>1</c> are fixed; any letter is a field
    /// (a run of one letter is one field, such as <c>nnnnn</c>); spaces are ignored.
    /// </param>
    /// <param name="mnemonic">The title in the Arm ARM, with the variant where it matters: <c>ADD (immediate) 64</c>.</param>
    /// <param name="operation">The operation that the encoding performs.</param>
    /// <param name="effects">The registers, flags and memory that it may read and write.</param>
    /// <param name="form">Fills the operand fields of the op from its word; <see cref="Operands"/> holds them.</param>
    /// <param name="handler">Executes the instruction.</param>
    /// <param name="except">Patterns of the same shape that are not this encoding: reserved values of fields.</param>
    public EncodingRow(
        string pattern,
        string mnemonic,
        Operation operation,
        Effects effects,
        delegate*<Op*, void> form,
        delegate*<VcpuCore, CpuState*, Op*, Op*> handler,
        Feature feature = Feature.None,
        params string[] except)
    {
        Pattern = pattern;
        Mnemonic = mnemonic;
        Operation = operation;
        Effects = effects;
        Form = form;
        Handler = handler;
        Feature = feature;
        (Mask, Value) = Parse(pattern);
        Except = except.Length == 0 ? [] : Array.ConvertAll(except, Parse);
    }

    public string Pattern { get; }

    /// <summary>The title for people. No code depends on it.</summary>
    public string Mnemonic { get; }

    public Operation Operation { get; }

    public Effects Effects { get; }

    public Feature Feature { get; }

    /// <summary>Uses the FP and SIMD registers: subject to CPACR_EL1.FPEN, which the decoder puts a check in front for.</summary>
    public bool UsesVectors => (Effects & AnyVector) != 0;

    /// <summary>An instruction of SVE: subject to CPACR_EL1.ZEN as well as to FPEN.</summary>
    public bool IsScalable => (Effects & Effects.Scalable) != 0;

    /// <summary>What an instruction of SVE does with one element; null where its handler does all.</summary>
    public delegate*<CpuState*, ulong, ulong, ulong, int, ulong> Lane { get; init; }

    /// <summary>Ones at the fixed bits.</summary>
    public uint Mask { get; }

    /// <summary>The fixed bits.</summary>
    public uint Value { get; }

    public (uint Mask, uint Value)[] Except { get; }

    public delegate*<Op*, void> Form { get; }

    public delegate*<VcpuCore, CpuState*, Op*, Op*> Handler { get; }

    /// <summary>Whether the instruction is a branch; a return from an exception is none.</summary>
    public bool IsBranch => (Effects & Effects.Jump) != 0 || Operation is Operation.Braa or Operation.Blraa;

    /// <summary>Whether the instruction may have one of these effects. A row that states no effects may have all.</summary>
    public bool May(Effects effects) => Effects == Effects.Unknown || (Effects & effects) != 0;

    public bool Matches(uint word) => (word & Mask) == Value && !IsExcepted(word);

    /// <summary>Whether a word of this shape is another encoding, or none.</summary>
    public bool IsExcepted(uint word)
    {
        foreach ((uint mask, uint value) in Except)
        {
            if ((word & mask) == value)
            {
                return true;
            }
        }

        return false;
    }

    /// <exception cref="FormatException">The pattern has not 32 bits, or a character that is no bit and no field.</exception>
    public static (uint Mask, uint Value) Parse(string pattern)
    {
        uint mask = 0;
        uint value = 0;
        int bits = 0;
        foreach (char c in pattern)
        {
            if (c == ' ')
            {
                continue;
            }

            if (c is not ('0' or '1') && !char.IsAsciiLetter(c))
            {
                throw new FormatException($"'{c}' in encoding pattern '{pattern}' is neither a bit nor a field letter");
            }

            mask = (mask << 1) | (c is '0' or '1' ? 1u : 0u);
            value = (value << 1) | (c == '1' ? 1u : 0u);
            bits++;
        }

        return bits == 32 ? (mask, value) : throw new FormatException($"encoding pattern '{pattern}' has {bits} bits, not 32");
    }
}
