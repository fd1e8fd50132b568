namespace Vmm.Emulation.Cpu.Jit.X64;

/// <summary>General-purpose registers by their number in encodings.</summary>
internal enum Reg : byte
{
    Rax,
    Rcx,
    Rdx,
    Rbx,
    Rsp,
    Rbp,
    Rsi,
    Rdi,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    None = 0xFF,
}

/// <summary>The conditions of Jcc, SETcc and CMOVcc by their number in encodings; each with its opposite in the lowest bit.</summary>
internal enum Condition : byte
{
    Overflow,
    NotOverflow,
    Below,
    AboveOrEqual,
    Equal,
    NotEqual,
    BelowOrEqual,
    Above,
    Sign,
    NotSign,
    Parity,
    NotParity,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Greater,
}

/// <summary>The eight operations that share one form, by their number in encodings.</summary>
internal enum Alu : byte
{
    Add,
    Or,
    Adc,
    Sbb,
    And,
    Sub,
    Xor,
    Cmp,
}

/// <summary>The shifts by their number in encodings.</summary>
internal enum Shift : byte
{
    Rol = 0,
    Ror = 1,
    Shl = 4,
    Shr = 5,
    Sar = 7,
}

/// <summary>What a ModRM byte can name: a register, or memory at base + index × scale + displacement.</summary>
/// <param name="Base">The register itself, or the base.</param>
/// <param name="Index">None where there is no index.</param>
/// <param name="ScaleBits">log2 of the scale.</param>
internal readonly record struct Operand(bool IsMemory, Reg Base, Reg Index, byte ScaleBits, int Displacement)
{
    public static implicit operator Operand(Reg register) => new(false, register, Reg.None, 0, 0);

    public static Operand At(Reg @base, int displacement = 0) => new(true, @base, Reg.None, 0, displacement);

    public static Operand At(Reg @base, Reg index, int scaleBits, int displacement = 0) => new(true, @base, index, (byte)scaleBits, displacement);

    public bool Is(Reg register) => !IsMemory && Base == register;
}
