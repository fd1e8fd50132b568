using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;

/// <summary>The source of the second operand of a lane operation.</summary>
internal unsafe interface ISecondSource
{
    static abstract Vector128<T> Read<T>(CpuState* s, Op* op)
        where T : unmanaged, IBinaryInteger<T>;

    /// <summary>The half that a "2" form of a widening instruction selects, in the low half of the result.</summary>
    static abstract Vector128<T> ReadHalf<T>(CpuState* s, Op* op)
        where T : unmanaged, IBinaryInteger<T>;
}

/// <summary>Register Rm, lane by lane.</summary>
internal readonly unsafe struct FromRegister : ISecondSource
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> Read<T>(CpuState* s, Op* op)
        where T : unmanaged, IBinaryInteger<T> => VectorAccess.Read<T>(s, op->Rm);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> ReadHalf<T>(CpuState* s, Op* op)
        where T : unmanaged, IBinaryInteger<T> => Vector128.CreateScalar(s->V[(2 * op->Rm) + (op->Ra >> 3)]).As<ulong, T>();
}

/// <summary>The element of register Rm whose index is <see cref="Op.Imm"/>, in every lane.</summary>
internal readonly unsafe struct FromElement : ISecondSource
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> Read<T>(CpuState* s, Op* op)
        where T : unmanaged, IBinaryInteger<T> => Vector128.Create(VectorAccess.Lanes<T>(s, op->Rm)[op->Imm]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> ReadHalf<T>(CpuState* s, Op* op)
        where T : unmanaged, IBinaryInteger<T> => Read<T>(s, op);
}

/// <summary><see cref="Op.Imm"/>, truncated to the element size, in every lane.</summary>
internal readonly unsafe struct FromImmediate : ISecondSource
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> Read<T>(CpuState* s, Op* op)
        where T : unmanaged, IBinaryInteger<T> => Vector128.Create(T.CreateTruncating(op->Imm));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> ReadHalf<T>(CpuState* s, Op* op)
        where T : unmanaged, IBinaryInteger<T> => Read<T>(s, op);
}
