using System.Numerics;
using Vmm.Emulation.Cpu;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <summary>
/// One CPU's side of the GIC: its redistributor with the SGIs and PPIs, and its CPU interface, the ICC_* system registers. All
/// state is under the lock of the <see cref="Gic"/>.
/// </summary>
public sealed partial class GicCpuInterface : IInterruptSink
{
    /// <summary>Five bits of priority are implemented.</summary>
    internal const int PriorityMask = 0xF8;

    private const int IdlePriority = 0xFF;
    private const int MinimumBinaryPoint0 = 2;
    private const int MinimumBinaryPoint1 = 3;

    private readonly Gic _gic;
    private readonly CpuIndex _cpu;
    private CpuInterruptWord? _word;
    private readonly byte[] _priority = new byte[32];
    private uint _group;
    private uint _enabled;
    private uint _latch;
    private uint _level;
    private uint _active;
    private uint _edge;
    private uint _waker;

    private byte _mask;
    private int _binaryPoint0;
    private int _binaryPoint1;
    private bool _endOfInterruptMode;
    private bool _commonBinaryPoint;
    private bool _group0Enabled;
    private bool _group1Enabled;

    // A bit for each of 32 priority levels.
    private uint _activePriorities0;
    private uint _activePriorities1;

    internal GicCpuInterface(Gic gic, CpuIndex cpu)
    {
        _gic = gic;
        _cpu = cpu;
        ResetLocked();
    }

    /// <summary>Whether the CPU is attached: a detached one takes no interrupts.</summary>
    public bool Accessible { get; private set; }

    /// <summary>Wires IRQ and FIQ to the CPU; once, before anything runs.</summary>
    public void Connect(CpuInterruptWord word) => _word = word;

    /// <summary>Attaches or detaches the CPU.</summary>
    public void SetAccessible(bool value)
    {
        lock (_gic.Lock)
        {
            Accessible = value;
            _gic.UpdateAllLocked();
        }
    }

    internal void ResetLocked()
    {
        Array.Clear(_priority);
        _group = _enabled = _latch = _active = 0;
        _edge = 0xFFFF;
        _waker = 6;
        ResetCpuInterfaceLocked();
    }

    /// <summary>What a reset of the CPU alone resets: the ICC_* registers.</summary>
    public void ResetCpuInterface()
    {
        lock (_gic.Lock)
        {
            ResetCpuInterfaceLocked();
        }
    }

    private void ResetCpuInterfaceLocked()
    {
        _mask = 0;
        _binaryPoint0 = MinimumBinaryPoint0;
        _binaryPoint1 = MinimumBinaryPoint1;
        _endOfInterruptMode = _commonBinaryPoint = _group0Enabled = _group1Enabled = false;
        _activePriorities0 = _activePriorities1 = 0;
        UpdateLocked();
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
            UpdateLocked();
        }
    }

    internal void PendSgiLocked(int id, bool group1)
    {
        if (Accessible && ((_group >> id) & 1) != 0 == group1)
        {
            _latch |= 1u << id;
            UpdateLocked();
        }
    }

    internal bool GroupEnabledLocked(bool group1) =>
        group1 ? _group1Enabled && (_gic.ControlLocked & 2) != 0 : _group0Enabled && (_gic.ControlLocked & 1) != 0;

    /// <summary>Drives IRQ and FIQ of the CPU from what is pending.</summary>
    internal void UpdateLocked()
    {
        int id = HighestPendingLocked(out int priority);
        if (_word is not { } word)
        {
            return;
        }

        bool signal = id != IntId.Spurious.Value && Preempts(priority, IsGroup1(id));
        bool group1 = signal && IsGroup1(id);
        word.SetInput(CpuInterruptWord.Irq, signal && group1);
        word.SetInput(CpuInterruptWord.Fiq, signal && !group1);
    }

    private bool IsGroup1(int id) => id < 32 ? ((_group >> id) & 1) != 0 : _gic.IsGroup1Locked(id);

    private uint PendingLocked => _latch | (_level & ~_edge);

    private int HighestPendingLocked(out int priority)
    {
        priority = 0x100;
        int best = IntId.Spurious.Value;
        if (!Accessible)
        {
            return best;
        }

        uint candidates = PendingLocked & _enabled & ~_active;
        while (candidates != 0)
        {
            int id = BitOperations.TrailingZeroCount(candidates);
            candidates &= candidates - 1;
            if (_priority[id] < priority && GroupEnabledLocked(IsGroup1(id)))
            {
                best = id;
                priority = _priority[id];
            }
        }

        _gic.BestSpiLocked(this, ref best, ref priority);
        return best;
    }

    private bool Preempts(int priority, bool group1)
    {
        int running = RunningPriority;
        return priority < _mask && (running == IdlePriority || (priority & GroupMask(group1)) < (running & GroupMask(group1)));
    }

    private int GroupMask(bool group1) => group1 && !_commonBinaryPoint ? 0xFF << _binaryPoint1 : 0xFF << (_binaryPoint0 + 1);

    private int RunningPriority
    {
        get
        {
            uint active = _activePriorities0 | _activePriorities1;
            return active == 0 ? IdlePriority : BitOperations.TrailingZeroCount(active) << 3;
        }
    }

    /// <summary>ICC_IAR1_EL1 or, for group 0, ICC_IAR0_EL1.</summary>
    internal ulong Acknowledge(bool group1)
    {
        lock (_gic.Lock)
        {
            int id = HighestPendingLocked(out int priority);
            if (id == IntId.Spurious.Value || IsGroup1(id) != group1 || !Preempts(priority, group1))
            {
                return (ulong)IntId.Spurious.Value;
            }

            uint level = 1u << ((priority & GroupMask(group1) & PriorityMask) >> 3);
            if (group1)
            {
                _activePriorities1 |= level;
            }
            else
            {
                _activePriorities0 |= level;
            }

            if (id < 32)
            {
                _active |= 1u << id;
                _latch &= ~(1u << id);
            }
            else
            {
                _gic.AcknowledgeSpiLocked(id);
            }

            UpdateLocked();
            return (ulong)id;
        }
    }

    /// <summary>ICC_EOIR1_EL1 or ICC_EOIR0_EL1: drops the running priority, and deactivates unless EOImode.</summary>
    internal void EndOfInterrupt(ulong value, bool group1)
    {
        int id = (int)(value & 0xFF_FFFF);
        if (id is >= 1020 and < 1024)
        {
            return;
        }

        lock (_gic.Lock)
        {
            // The drop is for the highest active priority; one that belongs to the other group is a mistake of the guest's, and ignored.
            uint lowest = (_activePriorities0 | _activePriorities1) & (0u - (_activePriorities0 | _activePriorities1));
            ref uint active = ref group1 ? ref _activePriorities1 : ref _activePriorities0;
            if ((active & lowest) == 0 && lowest != 0)
            {
                return;
            }

            active &= ~lowest;
            if (!_endOfInterruptMode)
            {
                DeactivateLocked(id);
            }

            UpdateLocked();
        }
    }

    /// <summary>ICC_DIR_EL1.</summary>
    internal void Deactivate(ulong value)
    {
        lock (_gic.Lock)
        {
            if (_endOfInterruptMode)
            {
                DeactivateLocked((int)(value & 0xFF_FFFF));
                UpdateLocked();
            }
        }
    }

    private void DeactivateLocked(int id)
    {
        if (id < 32)
        {
            _active &= ~(1u << id);
        }
        else
        {
            _gic.DeactivateSpiLocked(id);
        }
    }

    /// <summary>ICC_HPPIR1_EL1 or ICC_HPPIR0_EL1.</summary>
    internal ulong HighestPending(bool group1)
    {
        lock (_gic.Lock)
        {
            int id = HighestPendingLocked(out _);
            return (ulong)(id != IntId.Spurious.Value && IsGroup1(id) == group1 ? id : IntId.Spurious.Value);
        }
    }

    internal ulong RunningPriorityRegister
    {
        get
        {
            lock (_gic.Lock)
            {
                return (ulong)RunningPriority;
            }
        }
    }

    internal ulong PriorityMaskRegister
    {
        get => _mask;
        set
        {
            lock (_gic.Lock)
            {
                _mask = (byte)(value & PriorityMask);
                UpdateLocked();
            }
        }
    }

    internal ulong BinaryPoint0
    {
        get => (ulong)_binaryPoint0;
        set
        {
            lock (_gic.Lock)
            {
                _binaryPoint0 = Math.Max((int)value & 7, MinimumBinaryPoint0);
                UpdateLocked();
            }
        }
    }

    internal ulong BinaryPoint1
    {
        get => (ulong)(_commonBinaryPoint ? Math.Min(_binaryPoint0 + 1, 7) : _binaryPoint1);
        set
        {
            lock (_gic.Lock)
            {
                if (!_commonBinaryPoint)
                {
                    _binaryPoint1 = Math.Max((int)value & 7, MinimumBinaryPoint1);
                    UpdateLocked();
                }
            }
        }
    }

    /// <summary>ICC_CTLR_EL1: PRIbits = 4 (five), IDbits = 0 (16), A3V; EOImode and CBPR are writable.</summary>
    internal ulong Control
    {
        get => (_commonBinaryPoint ? 1ul : 0) | (_endOfInterruptMode ? 2ul : 0) | (4ul << 8) | (1ul << 15);
        set
        {
            lock (_gic.Lock)
            {
                _commonBinaryPoint = (value & 1) != 0;
                _endOfInterruptMode = (value & 2) != 0;
                UpdateLocked();
            }
        }
    }

    internal ulong Group0Enable
    {
        get => _group0Enabled ? 1ul : 0;
        set => EnableGroup(ref _group0Enabled, value);
    }

    internal ulong Group1Enable
    {
        get => _group1Enabled ? 1ul : 0;
        set => EnableGroup(ref _group1Enabled, value);
    }

    internal ulong ActivePriorities0
    {
        get => _activePriorities0;
        set => SetActivePriorities(ref _activePriorities0, value);
    }

    internal ulong ActivePriorities1
    {
        get => _activePriorities1;
        set => SetActivePriorities(ref _activePriorities1, value);
    }

    // 1-of-N interrupts may move to another CPU.
    private void EnableGroup(ref bool enabled, ulong value)
    {
        lock (_gic.Lock)
        {
            enabled = (value & 1) != 0;
            _gic.UpdateAllLocked();
        }
    }

    private void SetActivePriorities(ref uint active, ulong value)
    {
        lock (_gic.Lock)
        {
            active = (uint)value;
            UpdateLocked();
        }
    }

    internal void SendSgi(ulong value, bool group1) => _gic.SendSgi(this, value, group1);

    internal uint ReadRedistributor(ulong offset, bool last)
    {
        ulong affinity = Mpidr.FromIndex(_cpu).Affinity;
        lock (_gic.Lock)
        {
            return offset switch
            {
                0x0004 => 0x43B,
                0x0008 => (last ? 1u << 4 : 0) | ((uint)_cpu.Value << 8),
                0x000C => (uint)((affinity & 0xFF_FFFF) | ((affinity >> 32) << 24)),
                0x0014 => _waker,
                >= Gic.IdentificationOffset and < 0x1_0000 => Gic.Identification(offset, Gic.RedistributorPart),
                0x1_0080 => _group,
                0x1_0100 or 0x1_0180 => _enabled,
                0x1_0200 or 0x1_0280 => PendingLocked,
                0x1_0300 or 0x1_0380 => _active,
                >= 0x1_0400 and < 0x1_0420 => BitConverter.ToUInt32(_priority, (int)offset - 0x1_0400),
                0x1_0C00 => Gic.SpreadConfiguration(0xFFFF),
                0x1_0C04 => Gic.SpreadConfiguration((ushort)(_edge >> 16)),
                _ => 0,
            };
        }
    }

    internal void WriteRedistributor(ulong offset, uint value)
    {
        lock (_gic.Lock)
        {
            switch (offset)
            {
                case 0x0014:
                    // ChildrenAsleep follows ProcessorSleep at once.
                    _waker = (value & 2) != 0 ? 6u : 0;
                    break;
                case 0x1_0080:
                    _group = value;
                    break;
                case 0x1_0100:
                    _enabled |= value;
                    break;
                case 0x1_0180:
                    _enabled &= ~value;
                    break;
                case 0x1_0200:
                    _latch |= value;
                    break;
                case 0x1_0280:
                    _latch &= ~value;
                    break;
                case 0x1_0300:
                    _active |= value;
                    break;
                case 0x1_0380:
                    _active &= ~value;
                    break;
                case 0x1_0C04:
                    _edge = 0xFFFF | ((uint)Gic.GatherConfiguration(value) << 16);
                    break;
            }

            UpdateLocked();
        }
    }

    internal void WritePriority(int id, byte value)
    {
        lock (_gic.Lock)
        {
            if (id < 32)
            {
                _priority[id] = (byte)(value & PriorityMask);
                UpdateLocked();
            }
        }
    }
}
