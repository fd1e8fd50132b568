using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;

/// <summary>An operation on whole vectors that the host does exactly: no saturation, no flags.</summary>
internal interface IVectorOperation
{
    static abstract Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T>;
}

internal readonly struct AddVector : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => n + m;
}

internal readonly struct SubVector : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => n - m;
}

internal readonly struct MulVector : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => n * m;
}

internal readonly struct MlaVector : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => d + (n * m);
}

internal readonly struct MlsVector : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => d - (n * m);
}

internal readonly struct MaxVector : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => Vector128.Max(n, m);
}

internal readonly struct MinVector : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => Vector128.Min(n, m);
}

internal readonly struct CompareGreater : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => Vector128.GreaterThan(n, m);
}

internal readonly struct CompareGreaterOrEqual : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => Vector128.GreaterThanOrEqual(n, m);
}

internal readonly struct CompareLess : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => Vector128.LessThan(n, m);
}

internal readonly struct CompareLessOrEqual : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => Vector128.LessThanOrEqual(n, m);
}

internal readonly struct CompareEqual : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => Vector128.Equals(n, m);
}

/// <summary>CMTST: all ones where the operands have a one in common.</summary>
internal readonly struct CompareTest : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => ~Vector128.Equals(n & m, Vector128<T>.Zero);
}

/// <summary>NEG, as a subtraction from the immediate 0.</summary>
internal readonly struct NegVector : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => m - n;
}

/// <summary>ABS; the most negative value stays.</summary>
internal readonly struct AbsVector : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T>
    {
        Vector128<T> sign = Vector128.LessThan(n, Vector128<T>.Zero);
        return (n ^ sign) - sign;
    }
}

internal readonly struct AndBits : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => n & m;
}

internal readonly struct BicBits : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => n & ~m;
}

internal readonly struct OrrBits : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => n | m;
}

internal readonly struct OrnBits : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => n | ~m;
}

internal readonly struct EorBits : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => n ^ m;
}

internal readonly struct NotBits : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => ~n;
}

/// <summary>BSL: the destination selects.</summary>
internal readonly struct SelectByDestination : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => (n & d) | (m & ~d);
}

/// <summary>BIT: inserts the first operand where the second is one.</summary>
internal readonly struct InsertIfTrue : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => (n & m) | (d & ~m);
}

/// <summary>BIF: inserts the first operand where the second is zero.</summary>
internal readonly struct InsertIfFalse : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => (n & ~m) | (d & m);
}

/// <summary>MOVI and MVNI: the immediate.</summary>
internal readonly struct MoveBits : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => m;
}

/// <summary>ORR (vector, immediate).</summary>
internal readonly struct OrrDestination : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => d | m;
}

/// <summary>BIC (vector, immediate).</summary>
internal readonly struct BicDestination : IVectorOperation
{
    public static Vector128<T> Apply<T>(Vector128<T> d, Vector128<T> n, Vector128<T> m)
        where T : unmanaged, IBinaryInteger<T> => d & ~m;
}
