namespace Vmm.Emulation.Cpu.Jit.X64;

/// <summary>
/// Which V registers are in XMM4 to XMM15 within a stretch of code. A V register is loaded when it is first read. It is stored where
/// another needs its place, and before a label, an instruction that is left to the interpreter and a jump out of the block. Where an
/// instruction leaves in a rare case only, its stub stores the registers that memory is behind of, and loads all of them again on its way
/// back: it knows them from the <see cref="VectorMap"/> of that place. XMM registers are given by number. XMM0 to XMM3 are scratch.
/// </summary>
internal sealed class VectorCache(Assembler asm)
{
    private const int FirstCached = 4;
    private const int CachedEnd = 16;
    private const int NoRegister = -1;

    // The V register that each XMM register holds, and the XMM register that holds each V register.
    private readonly int[] _holds = new int[CachedEnd];
    private readonly int[] _cachedIn = new int[32];

    // The XMM registers, by bit, that hold a newer value than memory.
    private uint _dirty;

    // The XMM registers, by bit, that the current instruction has asked for: they keep their V registers until it ends.
    private uint _inUse;

    // The XMM register that was given to another V register last.
    private int _victim = FirstCached;

    /// <summary>Another guest instruction begins: none of its registers has been asked for.</summary>
    public void BeginInstruction() => _inUse = 0;

    /// <summary>A register that holds a V register, to be read only. May emit a store and a load.</summary>
    public int Read(int vector)
    {
        int register = _cachedIn[vector];
        if (register == NoRegister)
        {
            register = Assign(vector);
            asm.LoadXmm(register, HostRegisters.Vector(vector));
        }

        _inUse |= 1u << register;
        return register;
    }

    /// <summary>
    /// A register for all 16 bytes of a V register, which the next host instruction makes. No way out may follow within this instruction:
    /// it would store what is not made yet. May emit a store.
    /// </summary>
    public int Overwrite(int vector)
    {
        int register = _cachedIn[vector];
        if (register == NoRegister)
        {
            register = Assign(vector);
        }

        _inUse |= 1u << register;
        _dirty |= 1u << register;
        return register;
    }

    /// <summary>A register that holds a V register of which a part will be written. May emit a store and a load.</summary>
    public int Update(int vector)
    {
        int register = Read(vector);
        _dirty |= 1u << register;
        return register;
    }

    private int Assign(int vector)
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
                asm.StoreXmm(HostRegisters.Vector(_holds[register]), register);
                _dirty &= ~(1u << register);
            }

            _cachedIn[_holds[register]] = NoRegister;
        }

        _holds[register] = vector;
        _cachedIn[vector] = register;
        return register;
    }

    /// <summary>Stores the registers that memory is behind of. They keep their values, and stay dirty: this is for a way out.</summary>
    public void Store() => Store(Map());

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

    /// <summary>Stores the registers that memory was behind of at the place of a map.</summary>
    public void Store(VectorMap map)
    {
        for (int register = FirstCached; register < CachedEnd; register++)
        {
            if ((map.Dirty & (1u << register)) != 0)
            {
                asm.StoreXmm(Slot(map, register), register);
            }
        }
    }

    /// <summary>Loads all registers that were held at the place of a map.</summary>
    public void Load(VectorMap map)
    {
        for (int register = FirstCached; register < CachedEnd; register++)
        {
            if ((map.Valid & (1u << register)) != 0)
            {
                asm.LoadXmm(register, Slot(map, register));
            }
        }
    }

    private static Operand Slot(VectorMap map, int register) =>
        HostRegisters.Vector((int)(map.Registers >> ((register - FirstCached) * 5)) & 31);
}

/// <summary>Which V register is in which XMM register at a place in the code.</summary>
/// <param name="Registers">The V register of each XMM register from XMM4 on: five bits each, from bit 0.</param>
/// <param name="Valid">The XMM registers, by bit, that hold a V register.</param>
/// <param name="Dirty">Those of them that hold a newer value than memory.</param>
internal readonly record struct VectorMap(ulong Registers, uint Valid, uint Dirty);
