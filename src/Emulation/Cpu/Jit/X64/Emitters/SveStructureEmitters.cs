using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// LD2, LD4, ST2 and ST4 of SVE, and LDNT1 and STNT1, which are LD1 and ST1 here. All bytes of the structures are looked up together. LD3
/// and ST3 are interpreted, and so are stores of which not all elements are active: a loop has one.
/// </summary>
internal static unsafe class SveStructureEmitters
{
    public static bool LoadScalar(BlockEmitter e, Op* op) => Load(e, op, immediate: false);

    public static bool LoadImmediate(BlockEmitter e, Op* op) => Load(e, op, immediate: true);

    public static bool StoreScalar(BlockEmitter e, Op* op) => Store(e, op, immediate: false);

    public static bool StoreImmediate(BlockEmitter e, Op* op) => Store(e, op, immediate: true);

    private static int Size(Op* op) => SveForms.Field(op, 23, 2);

    private static int Registers(Op* op) => SveForms.Field(op, 21, 2) + 1;

    private static int Register(Op* op, int index) => (op->Rd + index) & 31;

    private static bool Load(BlockEmitter e, Op* op, bool immediate)
    {
        int size = Size(op);
        int registers = Registers(op);
        switch (registers)
        {
            case 1:
                return SveMemoryEmitters.Load(e, op, (size, size, false), immediate);
            case 3:
                return false;
        }

        Operand place = SveMemoryEmitters.FindVector(e, op, registers * e.Scalable.Length, size, immediate, write: false);
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            // All pieces of the registers are made together, and what is not active becomes zero.
            e.Scalable.Mask(0, op->Shift, i, size);
            e.Asm.StoreXmm(HostRegisters.ScalableRoom(ScalableRegisters.LowBytes), 0);
            Operand from = place with { Displacement = i * registers * ScalableRegisters.LowBytes };
            if (registers == 2)
            {
                LoadTwo(e, op, from, i, size);
            }
            else
            {
                LoadFour(e, op, from, i, size);
            }
        }

        return true;
    }

    // A register = 16 bytes of structures, with the elements of one register together.
    private static void LoadGrouped(BlockEmitter e, int register, Operand place, int registers, int size)
    {
        e.Asm.LoadXmm(register, place);
        if (size < 2)
        {
            Operand order = HostRegisters.ScalableConstant(ScalableConstants.Structures(registers, size));
            e.Asm.Packed(Packed.ShuffleB, register, register, order);
        }
        else if (size == 2 && registers == 2)
        {
            e.Asm.ShuffleWords(register, register, 0xD8);
        }
    }

    private static Operand Next(Operand place, int index) =>
        place with { Displacement = place.Displacement + (index * ScalableRegisters.LowBytes) };

    private static void Write(BlockEmitter e, Op* op, int index, int piece, int register)
    {
        e.Asm.Packed(Packed.And, register, register, HostRegisters.ScalableRoom(ScalableRegisters.LowBytes));
        e.Scalable.Write(Register(op, index), piece, register);
    }

    private static void LoadTwo(BlockEmitter e, Op* op, Operand place, int piece, int size)
    {
        LoadGrouped(e, 0, place, 2, size);
        LoadGrouped(e, 1, Next(place, 1), 2, size);
        e.Asm.Packed(Packed.UnpackLowD, 2, 0, 1);
        e.Asm.Packed(Packed.UnpackHighD, 0, 0, 1);
        Write(e, op, 0, piece, 2);
        Write(e, op, 1, piece, 0);
    }

    // Words, or what was grouped to words, are a matrix of four by four, which is transposed; doublewords are two of two by two.
    private static void LoadFour(BlockEmitter e, Op* op, Operand place, int piece, int size)
    {
        if (size == 3)
        {
            for (int half = 0; half < 2; half++)
            {
                e.Asm.LoadXmm(0, Next(place, half));
                e.Asm.LoadXmm(1, Next(place, half + 2));
                e.Asm.Packed(Packed.UnpackLowD, 2, 0, 1);
                e.Asm.Packed(Packed.UnpackHighD, 0, 0, 1);
                Write(e, op, 2 * half, piece, 2);
                Write(e, op, (2 * half) + 1, piece, 0);
            }

            return;
        }

        LoadGrouped(e, 0, place, 4, size);
        LoadGrouped(e, 1, Next(place, 1), 4, size);
        e.Asm.Packed(Packed.UnpackLowS, 2, 0, 1);
        e.Asm.Packed(Packed.UnpackHighS, 0, 0, 1);
        e.Asm.StoreXmm(HostRegisters.ScalableRoom(0), 0);
        LoadGrouped(e, 1, Next(place, 2), 4, size);
        LoadGrouped(e, 3, Next(place, 3), 4, size);
        e.Asm.Packed(Packed.UnpackLowS, 0, 1, 3);
        e.Asm.Packed(Packed.UnpackHighS, 1, 1, 3);
        e.Asm.Packed(Packed.UnpackLowD, 3, 2, 0);
        e.Asm.Packed(Packed.UnpackHighD, 2, 2, 0);
        Write(e, op, 0, piece, 3);
        Write(e, op, 1, piece, 2);
        e.Asm.LoadXmm(0, HostRegisters.ScalableRoom(0));
        e.Asm.Packed(Packed.UnpackLowD, 2, 0, 1);
        e.Asm.Packed(Packed.UnpackHighD, 0, 0, 1);
        Write(e, op, 2, piece, 2);
        Write(e, op, 3, piece, 0);
    }

    private static bool Store(BlockEmitter e, Op* op, bool immediate)
    {
        int size = Size(op);
        int registers = Registers(op);
        switch (registers)
        {
            case 1:
                return SveMemoryEmitters.Store(e, op, size, immediate);
            case 3:
                return false;
        }

        e.Floats.CheckScalable(op);
        for (int r = 0; r < registers; r++)
        {
            e.Scalable.MakeReal(Register(op, r));
        }

        Operand place = SveMemoryEmitters.FindVector(e, op, registers * e.Scalable.Length, size, immediate, write: true);
        e.Exits.LeaveAt(SveMemoryEmitters.JumpUnlessAll(e, op, size), op, ExitReason.RareCase, default);
        Packed low = SimdOperations.Of(Operation.Zip1).At(size);
        Packed high = SimdOperations.Of(Operation.Zip2).At(size);
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            Operand to = place with { Displacement = i * registers * ScalableRegisters.LowBytes };
            if (registers == 2)
            {
                Interleave(e, op, 0, 1, i, low, 0);
                e.Asm.StoreXmm(to, 0);
                Interleave(e, op, 0, 1, i, high, 0);
                e.Asm.StoreXmm(Next(to, 1), 0);
                continue;
            }

            for (int half = 0; half < 2; half++)
            {
                Interleave(e, op, 0, 2, i, half == 0 ? low : high, 0);
                Interleave(e, op, 1, 3, i, half == 0 ? low : high, 1);
                e.Asm.Packed(low, 2, 0, 1);
                e.Asm.StoreXmm(Next(to, 2 * half), 2);
                e.Asm.Packed(high, 2, 0, 1);
                e.Asm.StoreXmm(Next(to, (2 * half) + 1), 2);
            }
        }

        return true;
    }

    // A scratch register = pieces of two registers, interleaved. Uses XMM2 and XMM3.
    private static void Interleave(BlockEmitter e, Op* op, int first, int second, int piece, Packed operation, int to)
    {
        int left = e.Scalable.Read(Register(op, first), piece, 2);
        e.Asm.Packed(operation, to, left, e.Scalable.Read(Register(op, second), piece, 3));
    }
}
