using System.Numerics;
using static Vmm.Emulation.Interrupts.GicV3.GicSpec;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <summary>
/// The CPU interface of one CPU: the ICC_* system registers, and the decision whether IRQ or FIQ is signalled. The lock of the <see
/// cref="Gic"/> guards its state.
/// </summary>
public sealed partial class CpuInterface
{
    private readonly Gic _gic;
    private readonly Distributor _distributor;

    // Null only until the machine is wired.
    private ICpuInputs? _inputs;

    private byte _mask;
    private int _binaryPoint0 = MinimumBinaryPoint0;
    private int _binaryPoint1 = MinimumBinaryPoint1;
    private bool _endOfInterruptMode;
    private bool _commonBinaryPoint;
    private bool _group0Enabled;
    private bool _group1Enabled;

    // One bit for each of the 32 priority levels.
    private uint _activePriorities0;
    private uint _activePriorities1;

    internal CpuInterface(Gic gic, CpuIndex cpu)
    {
        _gic = gic;
        _distributor = gic.Distributor;
        Index = cpu;
        Redistributor = new Redistributor(gic, this);
    }

    public CpuIndex Index { get; }

    public Redistributor Redistributor { get; }

    /// <summary>Whether the CPU is attached. A detached CPU takes no interrupts.</summary>
    public bool Accessible { get; private set; }

    /// <summary>Wires IRQ and FIQ to the CPU; once, before anything runs.</summary>
    public void Connect(ICpuInputs inputs) => _inputs = inputs;

    /// <summary>Attaches or detaches the CPU.</summary>
    public void SetAccessible(bool value)
    {
        lock (_gic.Lock)
        {
            Accessible = value;
            _gic.UpdateAllLocked();
        }
    }

    /// <summary>Resets the ICC_* registers, as a reset of the CPU alone does (PSCI CPU_ON).</summary>
    public void ResetCpuInterface()
    {
        lock (_gic.Lock)
        {
            ResetLocked();
        }
    }

    internal void ResetLocked()
    {
        _mask = 0;
        _binaryPoint0 = MinimumBinaryPoint0;
        _binaryPoint1 = MinimumBinaryPoint1;
        _endOfInterruptMode = _commonBinaryPoint = _group0Enabled = _group1Enabled = false;
        _activePriorities0 = _activePriorities1 = 0;
        UpdateLocked();
    }

    internal bool GroupEnabledLocked(bool group1) =>
        (group1 ? _group1Enabled : _group0Enabled) && _distributor.IsGroupEnabledLocked(group1);

    /// <summary>
    /// Drives IRQ and FIQ of the CPU by the pending interrupts. Nothing else drives them, so their present levels are known.
    /// </summary>
    internal void UpdateLocked()
    {
        int id = HighestPendingLocked(out int priority);
        int wanted = id == IntId.Spurious.Value || !Preempts(priority, IsGroup1(id)) ? 0 : IsGroup1(id) ? ICpuInputs.Irq : ICpuInputs.Fiq;
        if (_inputs is not { } inputs)
        {
            return;
        }

        int changed = inputs.Inputs ^ wanted;
        if ((changed & ICpuInputs.Irq) != 0)
        {
            inputs.SetInput(ICpuInputs.Irq, (wanted & ICpuInputs.Irq) != 0);
        }

        if ((changed & ICpuInputs.Fiq) != 0)
        {
            inputs.SetInput(ICpuInputs.Fiq, (wanted & ICpuInputs.Fiq) != 0);
        }
    }

    private bool IsGroup1(int id) => id < FirstSpi ? Redistributor.IsGroup1Locked(id)
        : id >= ItsSpec.FirstLpi || _distributor.IsGroup1Locked(id);

    private int HighestPendingLocked(out int priority)
    {
        priority = 0x100;
        int best = IntId.Spurious.Value;
        if (Accessible)
        {
            Redistributor.BestLocked(ref best, ref priority);
            _distributor.BestLocked(this, ref best, ref priority);
        }

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

            if (id < FirstSpi)
            {
                Redistributor.AcknowledgeLocked(id);
            }
            else if (id >= ItsSpec.FirstLpi)
            {
                Redistributor.AcknowledgeLpiLocked(id);
            }
            else
            {
                _distributor.AcknowledgeLocked(id);
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
            // The highest active priority is dropped. If it belongs to the other group, the guest made a mistake, and the write is ignored.
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
        if (id < FirstSpi)
        {
            Redistributor.DeactivateLocked(id);
        }
        else
        {
            _distributor.DeactivateLocked(id, this);
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

    /// <summary>ICC_CTLR_EL1. Only EOImode and CBPR can be written.</summary>
    internal ulong Control
    {
        get => (_commonBinaryPoint ? CommonBinaryPoint : 0) | (_endOfInterruptMode ? EndOfInterruptMode : 0) | FixedCpuControl;
        set
        {
            lock (_gic.Lock)
            {
                _commonBinaryPoint = (value & CommonBinaryPoint) != 0;
                _endOfInterruptMode = (value & EndOfInterruptMode) != 0;
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
}
