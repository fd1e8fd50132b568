using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vm;

namespace Vmm.Actors.Hotplug;

/// <content>What the guest does at the CPU hotplug block.</content>
public sealed partial class HotplugCoordinator
{
    private void TakeEvents()
    {
        _port.Doorbell.Acknowledge();
        while (_port.TryTake(out CpuHotplugEvent happened))
        {
            if (!IsSettling(happened.Cpu))
            {
                Take(happened);
                continue;
            }

            _waiting.Add(happened);
        }
    }

    // Whether an earlier event of the CPU is still to be told.
    private bool IsSettling(int cpu) => _leaving.Contains(cpu) || _untold[cpu] > 0;

    private void TakeWaiting(int cpu)
    {
        // The request that is being written was decided before these events. They wait until it is written.
        while (_request == null && !IsSettling(cpu) && _waiting.TryTake(cpu, out CpuHotplugEvent happened))
        {
            Take(happened);
        }
    }

    private void Take(CpuHotplugEvent happened)
    {
        int cpu = happened.Cpu;
        if (!happened.Ejected)
        {
            _steps.Take(cpu, CpuStep.GuestAnswered, happened.OstStatus);
            _lastOst.Note(cpu, happened.OstSource, happened.OstStatus);
            Context.System.EventStream.Publish(new AcpiDeviceOst(IdOf(_state, cpu), cpu, happened.OstSource, happened.OstStatus));
            if (_state.DecideOst(cpu, happened.OstSource, happened.OstStatus, Now) is { } decided)
            {
                Record(decided);
            }
        }
        else if (IsThere(cpu))
        {
            _steps.Take(cpu, CpuStep.Ejected);

            // There need not be a request: the guest may eject a CPU that it was once asked for.
            if (_state.Pending.TryGetValue(cpu, out PendingOperation? pending) && pending.Comes)
            {
                Record(new HotplugCancelled(pending.Id, cpu, Now));
            }

            Leave(cpu);
        }
    }
}
