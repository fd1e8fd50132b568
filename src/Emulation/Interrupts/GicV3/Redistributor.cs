using System.Numerics;
using Vmm.Emulation.Memory;
using static Vmm.Emulation.Interrupts.GicV3.GicSpec;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <summary>The redistributor of a CPU: its SGIs, PPIs and LPIs. The lock of the <see cref="Gic"/> guards its state.</summary>
public sealed partial class Redistributor : IInterruptSink
{
    // SGIs are edge-triggered, which GICR_ICFGR0 cannot change.
    private const uint SgiEdges = 0xFFFF;

    private static readonly GicRegisterTable<Redistributor> s_registers = new(
        new(GICR_CTLR, 1, (r, _) => r._lpis == null ? 0 : EnableLpis, (r, _, v) => r.WriteControlLocked(v)),
        new(GICR_IIDR, 1, (_, _) => Implementer),
        new(GICR_TYPER, 2, (r, i) => (uint)(r.Type >> (i * 32))),
        new(GICR_WAKER, 1, (r, _) => r._waker, (r, _, v) => r._waker = (v & ProcessorSleep) != 0 ? Asleep : 0),
        new(GICR_PROPBASER, 2, (r, i) => (uint)(r._properties >> (i * 32)), (r, i, v) => r.WritePropertiesLocked(i, v)),
        new(
            GICR_PENDBASER,
            2,
            (r, i) => (uint)((r._pendings & ~PendingTableZero) >> (i * 32)),
            (r, i, v) => r.WritePendingsLocked(i, v)),
        new(GICR_IGROUPR0, 1, (r, _) => r._group, (r, _, v) => r._group = v),
        new(GICR_ISENABLER0, 1, (r, _) => r._enabled, (r, _, v) => r._enabled |= v),
        new(GICR_ICENABLER0, 1, (r, _) => r._enabled, (r, _, v) => r._enabled &= ~v),
        new(GICR_ISPENDR0, 1, (r, _) => r.PendingLocked, (r, _, v) => r._latch |= v),
        new(GICR_ICPENDR0, 1, (r, _) => r.PendingLocked, (r, _, v) => r._latch &= ~v),
        new(GICR_ISACTIVER0, 1, (r, _) => r._active, (r, _, v) => r._active |= v),
        new(GICR_ICACTIVER0, 1, (r, _) => r._active, (r, _, v) => r._active &= ~v),
        new(
            GICR_IPRIORITYR,
            FirstSpi / 4,
            (r, i) => BitConverter.ToUInt32(r._priority, i * 4),
            WriteByte: (r, i, v) => r._priority[i] = (byte)(v & PriorityMask)),
        new(GICR_ICFGR, 1, (_, _) => SpreadConfiguration((ushort)SgiEdges)),
        new(
            GICR_ICFGR + 4,
            1,
            (r, _) => SpreadConfiguration((ushort)(r._edge >> FirstPpi)),
            (r, _, v) => r._edge = SgiEdges | ((uint)GatherConfiguration(v) << FirstPpi)),
        new(Identification, IdentificationRegisters, (_, i) => Identify(i, RedistributorPart)));

    private readonly Gic _gic;
    private readonly CpuInterface _cpu;
    private readonly byte[] _priority = new byte[FirstSpi];
    private uint _group;
    private uint _enabled;
    private uint _latch;
    private uint _level;
    private uint _active;
    private uint _edge;
    private uint _waker;

    internal Redistributor(Gic gic, CpuInterface cpu)
    {
        _gic = gic;
        _cpu = cpu;
        ResetLocked();
    }

    /// <summary>Whether it is the last redistributor of its region (GICR_TYPER.Last). Set once, before anything runs.</summary>
    internal bool IsLast { get; set; }

    internal ulong Read(ulong offset, int size)
    {
        lock (_gic.Lock)
        {
            return s_registers.Read(this, offset, size);
        }
    }

    internal void Write(ulong offset, int size, ulong value)
    {
        lock (_gic.Lock)
        {
            s_registers.Write(this, offset, size, value);
            _cpu.UpdateLocked();
        }
    }

    void IInterruptSink.SetInput(IntId id, bool level)
    {
        uint bit = 1u << id.Value;
        lock (_gic.Lock)
        {
            if (level && (_level & bit) == 0 && (_edge & bit) != 0)
            {
                _latch |= bit;
            }

            _level = level ? _level | bit : _level & ~bit;
            _cpu.UpdateLocked();
        }
    }

    /// <summary>Sets the values of a cold reset. Lines keep their levels.</summary>
    internal void ResetLocked()
    {
        Array.Clear(_priority);
        _group = _enabled = _latch = _active = 0;
        _edge = SgiEdges;
        _waker = Asleep;
        ResetLpisLocked();
    }

    internal void PendSgiLocked(int id, bool group1)
    {
        if (_cpu.Accessible && IsGroup1Locked(id) == group1)
        {
            _latch |= 1u << id;
            _cpu.UpdateLocked();
        }
    }

    internal bool IsGroup1Locked(int id) => ((_group >> id) & 1) != 0;

    /// <summary>
    /// Finds the best SGI, PPI or LPI: it is pending, enabled, not active, and in an enabled group. A better candidate is kept. LPIs are in
    /// group 1.
    /// </summary>
    internal void BestLocked(ref int best, ref int bestPriority)
    {
        uint candidates = PendingLocked & _enabled & ~_active;
        while (candidates != 0)
        {
            int id = BitOperations.TrailingZeroCount(candidates);
            candidates &= candidates - 1;
            if (_priority[id] < bestPriority && _cpu.GroupEnabledLocked(IsGroup1Locked(id)))
            {
                best = id;
                bestPriority = _priority[id];
            }
        }

        if (_lpis is { Count: > 0 } lpis && _cpu.GroupEnabledLocked(group1: true))
        {
            lpis.Best(ref best, ref bestPriority);
        }
    }

    internal void AcknowledgeLocked(int id)
    {
        _active |= 1u << id;
        _latch &= ~(1u << id);
    }

    internal void DeactivateLocked(int id) => _active &= ~(1u << id);

    private uint PendingLocked => _latch | (_level & ~_edge);

    // GICR_TYPER has the affinity, the processor number, Last, and whether there are LPIs.
    private ulong Type
    {
        get
        {
            ulong affinity = Mpidr.FromIndex(_cpu.Index).Affinity;
            return (((affinity & 0xFF_FFFF) | ((affinity >> 32) << 24)) << 32) | ((uint)_cpu.Index.Value << 8) | (IsLast ? 1u << 4 : 0)
                | (_gic.LpiMemory == null ? 0 : RedistributorLpis);
        }
    }
}
