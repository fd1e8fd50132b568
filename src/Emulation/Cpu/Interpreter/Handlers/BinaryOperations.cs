using System.Numerics;
using System.Runtime.CompilerServices;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>An operation on two integers that may set NZCV: the type argument of the handlers in <see cref="IntegerRegister"/>.</summary>
internal unsafe interface IBinaryOperation
{
    static abstract ulong Do64(CpuState* s, ulong a, ulong b);

    static abstract uint Do32(CpuState* s, uint a, uint b);
}

internal readonly unsafe struct Add : IBinaryOperation
{
    public static ulong Do64(CpuState* s, ulong a, ulong b) => a + b;

    public static uint Do32(CpuState* s, uint a, uint b) => a + b;
}

internal readonly unsafe struct Adds : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Do64(CpuState* s, ulong a, ulong b)
    {
        s->Nzcv = Flags.Add64(a, b, a + b);
        return a + b;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Do32(CpuState* s, uint a, uint b)
    {
        s->Nzcv = Flags.Add32(a, b, a + b);
        return a + b;
    }
}

internal readonly unsafe struct Sub : IBinaryOperation
{
    public static ulong Do64(CpuState* s, ulong a, ulong b) => a - b;

    public static uint Do32(CpuState* s, uint a, uint b) => a - b;
}

internal readonly unsafe struct Subs : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Do64(CpuState* s, ulong a, ulong b)
    {
        s->Nzcv = Flags.Sub64(a, b, a - b);
        return a - b;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Do32(CpuState* s, uint a, uint b)
    {
        s->Nzcv = Flags.Sub32(a, b, a - b);
        return a - b;
    }
}

/// <summary>ADC: adds C as well.</summary>
internal readonly unsafe struct Adc : IBinaryOperation
{
    public static ulong Do64(CpuState* s, ulong a, ulong b) => a + b + ((s->Nzcv >> 29) & 1);

    public static uint Do32(CpuState* s, uint a, uint b) => a + b + ((s->Nzcv >> 29) & 1);
}

internal readonly unsafe struct Adcs : IBinaryOperation
{
    public static ulong Do64(CpuState* s, ulong a, ulong b)
    {
        uint carry = (s->Nzcv >> 29) & 1;
        ulong r = a + b + carry;
        s->Nzcv = Flags.AddCarry64(a, b, r, carry != 0);
        return r;
    }

    public static uint Do32(CpuState* s, uint a, uint b)
    {
        uint carry = (s->Nzcv >> 29) & 1;
        uint r = a + b + carry;
        s->Nzcv = Flags.AddCarry32(a, b, r, carry != 0);
        return r;
    }
}

/// <summary>SBC: a + NOT(b) + C.</summary>
internal readonly unsafe struct Sbc : IBinaryOperation
{
    public static ulong Do64(CpuState* s, ulong a, ulong b) => Adc.Do64(s, a, ~b);

    public static uint Do32(CpuState* s, uint a, uint b) => Adc.Do32(s, a, ~b);
}

internal readonly unsafe struct Sbcs : IBinaryOperation
{
    public static ulong Do64(CpuState* s, ulong a, ulong b) => Adcs.Do64(s, a, ~b);

    public static uint Do32(CpuState* s, uint a, uint b) => Adcs.Do32(s, a, ~b);
}

internal readonly unsafe struct And : IBinaryOperation
{
    public static ulong Do64(CpuState* s, ulong a, ulong b) => a & b;

    public static uint Do32(CpuState* s, uint a, uint b) => a & b;
}

internal readonly unsafe struct Ands : IBinaryOperation
{
    public static ulong Do64(CpuState* s, ulong a, ulong b)
    {
        s->Nzcv = Flags.Logical64(a & b);
        return a & b;
    }

    public static uint Do32(CpuState* s, uint a, uint b)
    {
        s->Nzcv = Flags.Logical32(a & b);
        return a & b;
    }
}

internal readonly unsafe struct Orr : IBinaryOperation
{
    public static ulong Do64(CpuState* s, ulong a, ulong b) => a | b;

    public static uint Do32(CpuState* s, uint a, uint b) => a | b;
}

internal readonly unsafe struct Eor : IBinaryOperation
{
    public static ulong Do64(CpuState* s, ulong a, ulong b) => a ^ b;

    public static uint Do32(CpuState* s, uint a, uint b) => a ^ b;
}

/// <summary>BIC, BICS, ORN and EON: the second operand inverted.</summary>
internal readonly unsafe struct Not<TOperation> : IBinaryOperation
    where TOperation : struct, IBinaryOperation
{
    public static ulong Do64(CpuState* s, ulong a, ulong b) => TOperation.Do64(s, a, ~b);

    public static uint Do32(CpuState* s, uint a, uint b) => TOperation.Do32(s, a, ~b);
}

internal readonly unsafe struct Lslv : IBinaryOperation
{
    public static ulong Do64(CpuState* s, ulong a, ulong b) => a << (int)b;

    public static uint Do32(CpuState* s, uint a, uint b) => a << (int)b;
}

internal readonly unsafe struct Lsrv : IBinaryOperation
{
    public static ulong Do64(CpuState* s, ulong a, ulong b) => a >> (int)b;

    public static uint Do32(CpuState* s, uint a, uint b) => a >> (int)b;
}

internal readonly unsafe struct Asrv : IBinaryOperation
{
    public static ulong Do64(CpuState* s, ulong a, ulong b) => (ulong)((long)a >> (int)b);

    public static uint Do32(CpuState* s, uint a, uint b) => (uint)((int)a >> (int)b);
}

internal readonly unsafe struct Rorv : IBinaryOperation
{
    public static ulong Do64(CpuState* s, ulong a, ulong b) => BitOperations.RotateRight(a, (int)b);

    public static uint Do32(CpuState* s, uint a, uint b) => BitOperations.RotateRight(a, (int)b);
}

/// <summary>UDIV: division by zero gives zero.</summary>
internal readonly unsafe struct Udiv : IBinaryOperation
{
    public static ulong Do64(CpuState* s, ulong a, ulong b) => b == 0 ? 0 : a / b;

    public static uint Do32(CpuState* s, uint a, uint b) => b == 0 ? 0 : a / b;
}

/// <summary>SDIV: division by zero gives zero, the most negative number by −1 itself.</summary>
internal readonly unsafe struct Sdiv : IBinaryOperation
{
    public static ulong Do64(CpuState* s, ulong a, ulong b) =>
        b == 0 ? 0 : b == ulong.MaxValue ? 0 - a : (ulong)((long)a / (long)b);

    public static uint Do32(CpuState* s, uint a, uint b) =>
        b == 0 ? 0 : b == uint.MaxValue ? 0 - a : (uint)((int)a / (int)b);
}
