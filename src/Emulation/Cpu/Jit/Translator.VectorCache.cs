using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>
/// V registers in XMM4–XMM15 within a stretch of code: loaded when first read, stored when a label, a way out, an unconditional leave or another register needs their place. XMM0–XMM3
/// are scratch. A rare leave stores what is dirty in its stub, from the map as it was there, and loads again what the main line holds behind the instruction. XMM registers are given by number.
/// </content>
internal sealed unsafe partial class Translator
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

    // Which V register is where: five bits for each cached XMM register, and sets of these.
    private readonly record struct VectorMap(ulong Registers, uint Valid, uint Dirty);

    // A register that holds a V register, to be read only.
    private int Vec(int vector)
    {
        int register = _cachedIn[vector];
        if (register == NoRegister)
        {
            register = Assign(vector);
            _a.LoadXmm(register, HostRegisters.Vector(vector));
        }

        _inUse |= 1u << register;
        return register;
    }

    // A register for all 16 bytes of a V register, made by the next instruction. No leaving behind this.
    private int Result(int vector)
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

    // A register that holds a V register of which a part will be written.
    private int Update(int vector)
    {
        int register = Vec(vector);
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
                _a.StoreXmm(HostRegisters.Vector(_holds[register]), register);
                _dirty &= ~(1u << register);
            }

            _cachedIn[_holds[register]] = NoRegister;
        }

        _holds[register] = vector;
        _cachedIn[vector] = register;
        return register;
    }

    // Stores what is dirty, for a way out: the map stays as it is for what goes on behind.
    private void StoreVectors() => StoreVectors(Map());

    private void ForgetVectors()
    {
        Array.Fill(_holds, NoRegister);
        Array.Fill(_cachedIn, NoRegister);
        _dirty = 0;
    }

    private VectorMap Map()
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

    private void StoreVectors(VectorMap map)
    {
        for (int register = FirstCached; register < CachedEnd; register++)
        {
            if ((map.Dirty & (1u << register)) != 0)
            {
                _a.StoreXmm(Slot(map, register), register);
            }
        }
    }

    private void LoadVectors(VectorMap map)
    {
        for (int register = FirstCached; register < CachedEnd; register++)
        {
            if ((map.Valid & (1u << register)) != 0)
            {
                _a.LoadXmm(register, Slot(map, register));
            }
        }
    }

    private static Operand Slot(VectorMap map, int register) => HostRegisters.Vector((int)(map.Registers >> ((register - FirstCached) * 5)) & 31);
}
