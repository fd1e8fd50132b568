using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>
/// The SIMD and FP registers as lanes. A write of fewer than 128 bits zeroes the rest of the register (Arm ARM C1.2.5), which the
/// <c>Write</c> methods do; only INS, the single-structure loads and the "2" forms of narrowing instructions write lanes in place.
/// </summary>
internal static unsafe class VectorAccess
{
    /// <summary>FPSR.QC: a saturating instruction has saturated.</summary>
    public const uint Qc = 1u << 27;

    /// <summary>The lanes of register <paramref name="register"/> (0–31), element 0 first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T* Lanes<T>(CpuState* s, int register)
        where T : unmanaged => (T*)&s->V[2 * register];

    /// <summary>All 128 bits of a register.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> Read<T>(CpuState* s, int register)
        where T : unmanaged => Unsafe.ReadUnaligned<Vector128<T>>(&s->V[2 * register]);

    /// <summary>Writes all 128 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write<T>(CpuState* s, int register, Vector128<T> value)
        where T : unmanaged => Unsafe.WriteUnaligned(&s->V[2 * register], value);

    /// <summary>Writes the low <paramref name="bytes"/> (1, 2, 4, 8 or 16) of a value and zeroes the rest.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write<T>(CpuState* s, int register, Vector128<T> value, int bytes)
        where T : unmanaged
    {
        if (bytes == 16)
        {
            Write(s, register, value);
            return;
        }

        WriteScalar(s, register, value.AsUInt64().ToScalar() & (ulong.MaxValue >> (64 - (8 * bytes))));
    }

    /// <summary>Writes a B, H, S, D or Q register and zeroes the rest.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void WriteScalar<T>(CpuState* s, int register, T value)
        where T : unmanaged
    {
        if (sizeof(T) < 16)
        {
            s->V[2 * register] = 0;
            s->V[(2 * register) + 1] = 0;
        }

        *(T*)&s->V[2 * register] = value;
    }
}
