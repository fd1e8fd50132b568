using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <summary>
/// Which V registers are in XMM4 to XMM15 within a stretch of code. A V register is loaded when it is first read. It is stored before a
/// label, a way out and an unconditional leave, and when another needs its place. A rare leave stores in its stub what memory was behind
/// of, from the map as it was there; behind the instruction it loads again what the main line holds. XMM registers are given by number;
/// XMM0 to XMM3 are scratch. Owner: the translator, which hands in the assembler of the place that it writes to.
/// </summary>
internal sealed class VectorCache
{
    private const int FirstCached = 4;
    private const int CachedEnd = 16;
    private const int NoRegister = -1;

    // The V register of each XMM register, and the XMM register of each V register.
    private readonly int[] _holds = new int[CachedEnd];
    private readonly int[] _cachedIn = new int[32];

    // Sets of XMM registers: memory is behind; this instruction has asked for it, and it must not go.
    private uint _dirty;
    private uint _inUse;
    private int _victim = FirstCached;

    /// <summary>Another guest instruction begins: none of its registers has been asked for.</summary>
    public void BeginInstruction() => _inUse = 0;

    /// <summary>A register that holds a V register, to be read only. May emit a store and a load.</summary>
    public int Read(ref Assembler a, int vector)
    {
        int register = _cachedIn[vector];
        if (register == NoRegister)
        {
            register = Assign(ref a, vector);
            a.LoadXmm(register, HostRegisters.Vector(vector));
        }

        _inUse |= 1u << register;
        return register;
    }

    /// <summary>
    /// A register for all 16 bytes of a V register, which the next host instruction makes. No way out may follow within this instruction:
    /// it would store what is not made yet. May emit a store.
    /// </summary>
    public int Overwrite(ref Assembler a, int vector)
    {
        int register = _cachedIn[vector];
        if (register == NoRegister)
        {
            register = Assign(ref a, vector);
        }

        _inUse |= 1u << register;
        _dirty |= 1u << register;
        return register;
    }

    /// <summary>A register that holds a V register of which a part will be written. May emit a store and a load.</summary>
    public int Update(ref Assembler a, int vector)
    {
        int register = Read(ref a, vector);
        _dirty |= 1u << register;
        return register;
    }

    private int Assign(ref Assembler a, int vector)
    {
        int register = FirstCached;
        while (register < CachedEnd && _holds[register] != NoRegister)
        {
            register++;
        }

        if (register == CachedEnd)
        {
            do
            {
                _victim = _victim + 1 == CachedEnd ? FirstCached : _victim + 1;
            }
            while ((_inUse & (1u << _victim)) != 0);

            register = _victim;
            if ((_dirty & (1u << register)) != 0)
            {
                a.StoreXmm(HostRegisters.Vector(_holds[register]), register);
                _dirty &= ~(1u << register);
            }

            _cachedIn[_holds[register]] = NoRegister;
        }

        _holds[register] = vector;
        _cachedIn[vector] = register;
        return register;
    }

    /// <summary>Stores what memory is behind of, for a way out. The map stays as it is for what goes on behind.</summary>
    public void Store(ref Assembler a) => Store(ref a, Map());

    /// <summary>From here on no register holds a V register.</summary>
    public void Forget()
    {
        Array.Fill(_holds, NoRegister);
        Array.Fill(_cachedIn, NoRegister);
        _dirty = 0;
    }

    /// <summary>Which V register is where now.</summary>
    public VectorMap Map()
    {
        ulong registers = 0;
        uint valid = 0;
        for (int register = FirstCached; register < CachedEnd; register++)
        {
            if (_holds[register] != NoRegister)
            {
                registers |= (ulong)_holds[register] << ((register - FirstCached) * 5);
                valid |= 1u << register;
            }
        }

        return new VectorMap(registers, valid, _dirty);
    }

    /// <summary>Stores what memory was behind of where a map was made.</summary>
    public static void Store(ref Assembler a, VectorMap map)
    {
        for (int register = FirstCached; register < CachedEnd; register++)
        {
            if ((map.Dirty & (1u << register)) != 0)
            {
                a.StoreXmm(Slot(map, register), register);
            }
        }
    }

    /// <summary>Loads all that registers held where a map was made.</summary>
    public static void Load(ref Assembler a, VectorMap map)
    {
        for (int register = FirstCached; register < CachedEnd; register++)
        {
            if ((map.Valid & (1u << register)) != 0)
            {
                a.LoadXmm(register, Slot(map, register));
            }
        }
    }

    private static Operand Slot(VectorMap map, int register) =>
        HostRegisters.Vector((int)(map.Registers >> ((register - FirstCached) * 5)) & 31);
}

/// <summary>Which V register is in which XMM register at a place in the code.</summary>
/// <param name="Registers">The V register of each XMM register from XMM4 on: five bits each, from bit 0.</param>
/// <param name="Valid">The XMM registers, by bit, that hold a V register.</param>
/// <param name="Dirty">Those of them that memory is behind of.</param>
internal readonly record struct VectorMap(ulong Registers, uint Valid, uint Dirty);
