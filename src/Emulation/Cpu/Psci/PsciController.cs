using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Psci;

/// <summary>PSCI power states (PSCI 1.1, section 5.7).</summary>
public enum PowerState
{
    Off,
    OnPending,
    On,
}

/// <summary>Requests of PSCI to the code that runs the vCPUs.</summary>
public interface IPsciEvents
{
    /// <summary>A CPU went from Off to OnPending: reset it with this entry point and context, and run it. Any vCPU's thread.</summary>
    void CpuOn(CpuIndex cpu, GuestPhysicalAddress entryPoint, ulong context);
}

/// <summary>
/// PSCI 1.1 (DEN0022) and the SMC Calling Convention's version calls, for all possible CPUs. The power words are compared and
/// swapped; the enabled flags belong to the hotplug protocol.
/// </summary>
public sealed partial class PsciController(int possibleCpus, IPsciEvents events)
{
    private const long Success = 0;
    private const long NotSupported = -1;
    private const long InvalidParameters = -2;
    private const long Denied = -3;
    private const long AlreadyOn = -4;
    private const long OnPendingError = -5;

    // Bits of power_state that must be zero: the reserved ones, and the power level, as only the CPU's own is allowed (PSCI 1.1, 5.4.2).
    private const uint PowerStateReserved = 0xFFFE_0000;

    private readonly int[] _power = new int[possibleCpus];
    private readonly bool[] _enabled = new bool[possibleCpus];

    public PowerState Power(CpuIndex cpu) => (PowerState)Volatile.Read(ref _power[cpu.Value]);

    public void SetPower(CpuIndex cpu, PowerState state) => Interlocked.Exchange(ref _power[cpu.Value], (int)state);

    /// <summary>Whether CPU_ON is allowed: the CPU is enabled for the guest.</summary>
    public bool IsEnabled(CpuIndex cpu) => Volatile.Read(ref _enabled[cpu.Value]);

    public void SetEnabled(CpuIndex cpu, bool value) => Volatile.Write(ref _enabled[cpu.Value], value);

    /// <summary>HVC: the function in W0, arguments in X1 to X3, the result in X0.</summary>
    internal unsafe Op* Call(VcpuCore core, Op* op)
    {
        CpuState* s = core.State;
        uint function = (uint)s->X[0];

        // SMC32 calls take 32-bit arguments (SMCCC, DEN0028, 2.8).
        ulong width = (function & (1u << 30)) != 0 ? ulong.MaxValue : uint.MaxValue;
        switch (function)
        {
            case 0x8400_0002: // CPU_OFF
                return core.LeaveAfter(op, VcpuExit.PoweredOff); // VcpuCore.Run sets the power state when it is done
            case 0x8400_0001 or 0xC400_0001: // CPU_SUSPEND: any state of the CPU alone is standby
                if (((uint)s->X[1] & PowerStateReserved) != 0)
                {
                    s->X[0] = unchecked((ulong)InvalidParameters);
                    return op + 1;
                }

                s->X[0] = Success;
                return core.Interrupts.HasWakeup ? op + 1 : core.LeaveAfter(op, VcpuExit.WaitForInterrupt);
            case 0x8400_0008:
                return core.LeaveAfter(op, VcpuExit.SystemOff);
            case 0x8400_0012 or 0xC400_0012 when (uint)s->X[1] != 0: // SYSTEM_RESET2: SYSTEM_WARM_RESET only
                s->X[0] = unchecked((ulong)InvalidParameters);
                return op + 1;
            case 0x8400_0009 or 0x8400_0012 or 0xC400_0012:
                return core.LeaveAfter(op, VcpuExit.SystemReset);
        }

        s->X[0] = (ulong)(function switch
        {
            0x8400_0000 => 0x1_0001,                        // PSCI_VERSION 1.1
            0x8400_0003 or 0xC400_0003 => CpuOn(s->X[1] & width, s->X[2] & width, s->X[3] & width),
            0x8400_0004 or 0xC400_0004 => AffinityInfo(s->X[1] & width, s->X[2] & width),
            0x8400_0006 => 2,                               // MIGRATE_INFO_TYPE: no migration needed
            0x8400_000A => Features((uint)s->X[1]),
            0x8000_0000 => 0x1_0001,                        // SMCCC_VERSION 1.1
            0x8000_0001 => ArchFeatures((uint)s->X[1]),
            _ => NotSupported,
        });
        return op + 1;
    }

    private long CpuOn(ulong target, ulong entryPoint, ulong context)
    {
        if (FindCpu(target) is not { } cpu)
        {
            return InvalidParameters;
        }

        if (!IsEnabled(cpu))
        {
            return Denied;
        }

        switch ((PowerState)Interlocked.CompareExchange(ref _power[cpu.Value], (int)PowerState.OnPending, (int)PowerState.Off))
        {
            case PowerState.On:
                return AlreadyOn;
            case PowerState.OnPending:
                return OnPendingError;
            default:
                events.CpuOn(cpu, new GuestPhysicalAddress(entryPoint), context);
                return Success;
        }
    }

    private long AffinityInfo(ulong target, ulong level) =>
        level == 0 && FindCpu(target) is { } cpu && IsEnabled(cpu)
            ? Power(cpu) switch { PowerState.On => 0, PowerState.Off => 1, _ => 2 }
            : InvalidParameters;

    private static long Features(uint function) => function switch
    {
        0x8400_0000 or 0x8400_0001 or 0xC400_0001 or 0x8400_0002 or 0x8400_0003 or 0xC400_0003 or 0x8400_0004 or 0xC400_0004
            or 0x8400_0006 or 0x8400_0008 or 0x8400_0009 or 0x8400_000A or 0x8400_0012 or 0xC400_0012 or 0x8000_0000 => Success,
        _ => NotSupported,
    };

    // SMCCC_ARCH_FEATURES (DEN0028, 7.3): this service has its mandatory calls only. NOT_SUPPORTED for a workaround says that it is not
    // known whether the CPU needs it.
    private static long ArchFeatures(uint function) => function is 0x8000_0000 or 0x8000_0001 ? Success : NotSupported;

    // Bits outside the affinity fields must be zero (PSCI 1.1, section 5.6.2).
    private CpuIndex? FindCpu(ulong affinity)
    {
        for (int i = 0; i < possibleCpus; i++)
        {
            if (Mpidr.FromIndex(new CpuIndex(i)).Affinity == affinity)
            {
                return new CpuIndex(i);
            }
        }

        return null;
    }
}
