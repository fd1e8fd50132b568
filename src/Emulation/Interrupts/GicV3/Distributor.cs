using System.Numerics;
using Vmm.Emulation.Memory;
using static Vmm.Emulation.Interrupts.GicV3.GicSpec;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <summary>
/// The distributor: the SPIs and their targets. The lock of the <see cref="Gic"/> guards its state. After a change only the CPUs are
/// updated that it concerns: the targets of each changed interrupt, before and after the change.
/// </summary>
public sealed partial class Distributor : IMmioDevice, IInterruptSink
{
    private const int Words = InterruptCount / 32;

    // The rows begin with the first SPI. With affinity routing the registers of SGIs and PPIs read as zero here and ignore writes.
    private static readonly GicRegisterTable<Distributor> s_registers = new(
        new(GICD_CTLR, 1, (d, _) => d._control | FixedControl, (d, _, v) => d.WriteControlLocked(v)),
        new(GICD_TYPER, 1, (d, _) => GicSpec.Type | (d._gic.LpiMemory == null ? 0 : TypeLpis)),
        new(GICD_IIDR, 1, (_, _) => Implementer),
        new(GICD_IGROUPR + 4, Words - 1, (d, i) => d._group[i + 1], (d, i, v) => d.WriteGroupLocked(i + 1, v)),
        new(GICD_ISENABLER + 4, Words - 1, (d, i) => d._enabled[i + 1], (d, i, v) => d.ChangeLocked(d._enabled, i + 1, v, set: true)),
        new(GICD_ICENABLER + 4, Words - 1, (d, i) => d._enabled[i + 1], (d, i, v) => d.ChangeLocked(d._enabled, i + 1, v, set: false)),
        new(GICD_ISPENDR + 4, Words - 1, (d, i) => d.PendingLocked(i + 1), (d, i, v) => d.ChangeLocked(d._latch, i + 1, v, set: true)),
        new(GICD_ICPENDR + 4, Words - 1, (d, i) => d.PendingLocked(i + 1), (d, i, v) => d.ChangeLocked(d._latch, i + 1, v, set: false)),
        new(GICD_ISACTIVER + 4, Words - 1, (d, i) => d._active[i + 1], (d, i, v) => d.ChangeLocked(d._active, i + 1, v, set: true)),
        new(GICD_ICACTIVER + 4, Words - 1, (d, i) => d._active[i + 1], (d, i, v) => d.ChangeLocked(d._active, i + 1, v, set: false)),
        new(
            GICD_IPRIORITYR + FirstSpi,
            (InterruptCount - FirstSpi) / 4,
            (d, i) => BitConverter.ToUInt32(d._priority, FirstSpi + (i * 4)),
            WriteByte: (d, i, v) => d.WritePriorityLocked(FirstSpi + i, v)),
        new(
            GICD_ICFGR + (FirstSpi / 4),
            (InterruptCount - FirstSpi) / 16,
            (d, i) => SpreadConfiguration((ushort)(d._edge[1 + (i / 2)] >> (i % 2 * 16))),
            (d, i, v) => d.WriteConfigurationLocked(1 + (i / 2), i % 2 * 16, v)),
        new(
            GICD_IROUTER + (FirstSpi * 8),
            (InterruptCount - FirstSpi) * 2,
            (d, i) => (uint)(d._router[FirstSpi + (i / 2)] >> (i % 2 * 32)),
            (d, i, v) => d.WriteRouterLocked(FirstSpi + (i / 2), upper: i % 2 != 0, v)),
        new(Identification, IdentificationRegisters, (_, i) => Identify(i, DistributorPart)));

    private readonly Gic _gic;
    private readonly uint[] _group = new uint[Words];
    private readonly uint[] _enabled = new uint[Words];
    private readonly uint[] _latch = new uint[Words];
    private readonly uint[] _level = new uint[Words];
    private readonly uint[] _active = new uint[Words];
    private readonly uint[] _edge = new uint[Words];
    private readonly byte[] _priority = new byte[InterruptCount];
    private readonly ulong[] _router = new ulong[InterruptCount];
    private uint _control;

    internal Distributor(Gic gic) => _gic = gic;

    public string Name => "gicv3-distributor";

    public ulong Read(ulong offset, int size)
    {
        lock (_gic.Lock)
        {
            return s_registers.Read(this, offset, size);
        }
    }

    public void Write(ulong offset, int size, ulong value)
    {
        lock (_gic.Lock)
        {
            s_registers.Write(this, offset, size, value);
        }
    }

    void IInterruptSink.SetInput(IntId id, bool level)
    {
        lock (_gic.Lock)
        {
            int word = id.Value >> 5;
            uint bit = 1u << (id.Value & 31);
            if (level)
            {
                if ((_level[word] & bit) == 0 && (_edge[word] & bit) != 0)
                {
                    _latch[word] |= bit;
                }

                _level[word] |= bit;
            }
            else
            {
                _level[word] &= ~bit;
            }

            TargetLocked(id.Value)?.UpdateLocked();
        }
    }

    internal void ResetLocked()
    {
        Array.Clear(_group);
        Array.Clear(_enabled);
        Array.Clear(_latch);
        Array.Clear(_active);
        Array.Clear(_edge);
        Array.Clear(_priority);
        Array.Clear(_router);
        _control = 0;
    }

    internal bool IsGroupEnabledLocked(bool group1) => (_control & (group1 ? EnableGroup1 : EnableGroup0)) != 0;

    internal bool IsGroup1Locked(int id) => (_group[id >> 5] & (1u << (id & 31))) != 0;

    /// <summary>
    /// Finds the best SPI for a CPU: it is pending, enabled, not active, in an enabled group, and routed to the CPU. A better candidate is
    /// kept.
    /// </summary>
    internal void BestLocked(CpuInterface cpu, ref int best, ref int bestPriority)
    {
        for (int word = 1; word < Words; word++)
        {
            uint candidates = PendingLocked(word) & _enabled[word] & ~_active[word];
            while (candidates != 0)
            {
                int id = (word << 5) + BitOperations.TrailingZeroCount(candidates);
                candidates &= candidates - 1;
                if (_priority[id] < bestPriority && cpu.GroupEnabledLocked(IsGroup1Locked(id)) && TargetLocked(id) == cpu)
                {
                    best = id;
                    bestPriority = _priority[id];
                }
            }
        }
    }

    /// <summary>Acknowledges an SPI for its target, which then updates itself.</summary>
    internal void AcknowledgeLocked(int id)
    {
        uint bit = 1u << (id & 31);
        _active[id >> 5] |= bit;
        _latch[id >> 5] &= ~bit;
    }

    /// <summary>Deactivates an SPI for a CPU, which need not be the target and updates itself.</summary>
    internal void DeactivateLocked(int id, CpuInterface by)
    {
        if (id < InterruptCount)
        {
            _active[id >> 5] &= ~(1u << (id & 31));
            if (TargetLocked(id) is { } target && target != by)
            {
                target.UpdateLocked();
            }
        }
    }

    private uint PendingLocked(int word) => _latch[word] | (_level[word] & ~_edge[word]);

    // The target of an SPI: the CPU of its affinity, or for 1-of-N the first CPU that can take it.
    private CpuInterface? TargetLocked(int id)
    {
        ulong router = _router[id];
        if ((router & RouteToAny) == 0)
        {
            CpuInterface? target = _gic.FindCpu(router & Mpidr.AffinityMask);
            return target is { Accessible: true } ? target : null;
        }

        bool group1 = IsGroup1Locked(id);
        foreach (CpuInterface cpu in _gic.CpuInterfaces)
        {
            if (cpu.Accessible && cpu.GroupEnabledLocked(group1))
            {
                return cpu;
            }
        }

        return null;
    }

    private void WriteControlLocked(uint value)
    {
        _control = value & (EnableGroup0 | EnableGroup1);
        _gic.UpdateAllLocked();
    }

    private void ChangeLocked(uint[] bits, int word, uint value, bool set)
    {
        uint old = bits[word];
        bits[word] = set ? old | value : old & ~value;
        UpdateTargetsLocked(word, bits[word] ^ old);
    }

    // In the other group a 1-of-N interrupt may have another target.
    private void WriteGroupLocked(int word, uint value)
    {
        uint changed = _group[word] ^ value;
        _group[word] = value;
        UpdateTargetsLocked(word, changed);
        for (uint ids = changed; ids != 0; ids &= ids - 1)
        {
            int id = (word << 5) + BitOperations.TrailingZeroCount(ids);
            if ((_router[id] & RouteToAny) != 0)
            {
                _gic.UpdateAllLocked();
                return;
            }
        }
    }

    private void WritePriorityLocked(int id, byte value)
    {
        _priority[id] = (byte)(value & PriorityMask);
        TargetLocked(id)?.UpdateLocked();
    }

    private void WriteConfigurationLocked(int word, int shift, uint value)
    {
        uint old = _edge[word];
        _edge[word] = (old & ~(0xFFFFu << shift)) | ((uint)GatherConfiguration(value) << shift);
        UpdateTargetsLocked(word, _edge[word] ^ old);
    }

    private void WriteRouterLocked(int id, bool upper, uint value)
    {
        CpuInterface? before = TargetLocked(id);
        ref ulong router = ref _router[id];
        router = upper ? (router & 0xFFFF_FFFF) | ((ulong)(value & 0xFF) << 32) : (router & ~0xFFFF_FFFFul) | (value & 0x80FF_FFFF);
        CpuInterface? after = TargetLocked(id);
        before?.UpdateLocked();
        if (after != before)
        {
            after?.UpdateLocked();
        }
    }

    // Updates the targets of the changed interrupts of a word. Most of them have the same target.
    private void UpdateTargetsLocked(int word, uint changed)
    {
        CpuInterface? last = null;
        for (; changed != 0; changed &= changed - 1)
        {
            if (TargetLocked((word << 5) + BitOperations.TrailingZeroCount(changed)) is { } target && target != last)
            {
                target.UpdateLocked();
                last = target;
            }
        }
    }
}
