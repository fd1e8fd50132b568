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

/// <summary>
/// Packed integer operations by opcode, with the opcode map in front. The last letter is the element size: B, H, S or D as on Arm.
/// </summary>
internal enum Packed
{
    None = 0,
    UnpackLowB = 0x0F60,
    UnpackLowH = 0x0F61,
    UnpackLowS = 0x0F62,
    PackSignedH = 0x0F63,
    GreaterB = 0x0F64,
    GreaterH = 0x0F65,
    GreaterS = 0x0F66,
    PackH = 0x0F67,
    UnpackHighB = 0x0F68,
    UnpackHighH = 0x0F69,
    UnpackHighS = 0x0F6A,
    PackSignedS = 0x0F6B,
    UnpackLowD = 0x0F6C,
    UnpackHighD = 0x0F6D,
    EqualB = 0x0F74,
    EqualH = 0x0F75,
    EqualS = 0x0F76,
    AddD = 0x0FD4,
    MultiplyH = 0x0FD5,
    SubSaturatingUnsignedB = 0x0FD8,
    SubSaturatingUnsignedH = 0x0FD9,
    MinUnsignedB = 0x0FDA,
    And = 0x0FDB,
    AddSaturatingUnsignedB = 0x0FDC,
    AddSaturatingUnsignedH = 0x0FDD,
    MaxUnsignedB = 0x0FDE,
    AndNot = 0x0FDF,
    AverageB = 0x0FE0,
    AverageH = 0x0FE3,
    MultiplyHighSignedH = 0x0FE5,
    SubSaturatingSignedB = 0x0FE8,
    SubSaturatingSignedH = 0x0FE9,
    MinSignedH = 0x0FEA,
    Or = 0x0FEB,
    AddSaturatingSignedB = 0x0FEC,
    AddSaturatingSignedH = 0x0FED,
    MaxSignedH = 0x0FEE,
    Xor = 0x0FEF,

    /// <summary>PMULUDQ: the low words of doublewords to products of twice the size.</summary>
    MultiplyLongUnsigned = 0x0FF4,

    /// <summary>PMADDWD: products of signed halfwords, added in pairs.</summary>
    MultiplyAddPairsH = 0x0FF5,

    /// <summary>PSADBW: |left - right|, bytes added up by eights.</summary>
    SumOfDifferences = 0x0FF6,
    SubB = 0x0FF8,
    SubH = 0x0FF9,
    SubS = 0x0FFA,
    SubD = 0x0FFB,
    AddB = 0x0FFC,
    AddH = 0x0FFD,
    AddS = 0x0FFE,
    ShuffleB = 0x0F3800,
    AddAdjacentS = 0x0F3802,

    /// <summary>PMADDUBSW: products of unsigned bytes of the left and signed ones of the right, added in pairs.</summary>
    MultiplyAddPairsB = 0x0F3804,

    /// <summary>PMULHRSW: (left × right × 2 + 8000h) >> 16.</summary>
    MultiplyHighRoundingH = 0x0F380B,
    AbsoluteB = 0x0F381C,
    AbsoluteH = 0x0F381D,
    AbsoluteS = 0x0F381E,
    SignExtendB = 0x0F3820,
    SignExtendBToS = 0x0F3821,
    SignExtendBToD = 0x0F3822,
    SignExtendH = 0x0F3823,
    SignExtendHToD = 0x0F3824,
    SignExtendS = 0x0F3825,
    MultiplyLongSigned = 0x0F3828,
    EqualD = 0x0F3829,
    PackS = 0x0F382B,
    ZeroExtendB = 0x0F3830,
    ZeroExtendBToS = 0x0F3831,
    ZeroExtendBToD = 0x0F3832,
    ZeroExtendH = 0x0F3833,
    ZeroExtendHToD = 0x0F3834,
    ZeroExtendS = 0x0F3835,
    GreaterD = 0x0F3837,
    MinSignedB = 0x0F3838,
    MinSignedS = 0x0F3839,
    MinUnsignedH = 0x0F383A,
    MinUnsignedS = 0x0F383B,
    MaxSignedB = 0x0F383C,
    MaxSignedS = 0x0F383D,
    MaxUnsignedH = 0x0F383E,
    MaxUnsignedS = 0x0F383F,
    MultiplyS = 0x0F3840,
    BroadcastS = 0x0F3858,
    BroadcastD = 0x0F3859,
    BroadcastB = 0x0F3878,
    BroadcastH = 0x0F3879,
    AesInverseMixColumns = 0x0F38DB,
    AesEncrypt = 0x0F38DC,
    AesEncryptLast = 0x0F38DD,
    AesDecryptLast = 0x0F38DF,
}

/// <summary>Steps of SHA-256 by opcode.</summary>
internal enum ShaStep
{
    /// <summary>Two rounds.</summary>
    Rounds = 0xCB,
    Schedule0 = 0xCC,
    Schedule1 = 0xCD,
}

/// <summary>Functions of three words of a round of SHA-1; the instruction has a constant with each.</summary>
internal enum ShaFunction
{
    Choose = 0,
    Parity = 1,
    Majority = 2,
}

/// <summary>Scalar floating-point operations by opcode. The prefix of the instruction gives the precision.</summary>
internal enum Scalar
{
    SquareRoot = 0x0F51,
    Add = 0x0F58,
    Multiply = 0x0F59,

    /// <summary>To the other precision.</summary>
    Convert = 0x0F5A,
    Subtract = 0x0F5C,
    Minimum = 0x0F5D,
    Divide = 0x0F5E,
    Maximum = 0x0F5F,
}

/// <summary>
/// Conditions of CMPPS and CMPPD. Which NaNs they signal an invalid operation for does not matter, since the caller leaves for NaNs.
/// </summary>
internal enum FloatCondition : byte
{
    Equal = 0,
    Less = 1,
    LessOrEqual = 2,
    Unordered = 3,
}

/// <summary>Fused operations by opcode.</summary>
internal enum Fused
{
    /// <summary>a × b + addend.</summary>
    MultiplyAdd = 0xB9,

    /// <summary>a × b - addend.</summary>
    MultiplySubtract = 0xBB,

    /// <summary>addend - a × b.</summary>
    NegatedMultiplyAdd = 0xBD,

    /// <summary>-(a × b) - addend.</summary>
    NegatedMultiplySubtract = 0xBF,
}

/// <summary>Shifts of elements by their number in encodings.</summary>
internal enum PackedShift : byte
{
    Right = 2,
    RightSigned = 4,
    Left = 6,
}

/// <summary>What a ModRM byte can name: a register, or memory at base + index × scale + displacement.</summary>
/// <param name="Base">The register itself, or the base.</param>
/// <param name="Index">None where there is no index.</param>
/// <param name="ScaleBits">log2 of the scale.</param>
internal readonly record struct Operand(bool IsMemory, Reg Base, Reg Index, byte ScaleBits, int Displacement)
{
    public static implicit operator Operand(Reg register) => new(false, register, Reg.None, 0, 0);

    public static Operand At(Reg @base, int displacement = 0) => new(true, @base, Reg.None, 0, displacement);

    public static Operand At(Reg @base, Reg index, int scaleBits, int displacement = 0) =>
        new(true, @base, index, (byte)scaleBits, displacement);

    public bool Is(Reg register) => !IsMemory && Base == register;
}
