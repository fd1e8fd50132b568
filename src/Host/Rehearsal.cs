using Serilog.Core;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Devices.CpuHotplug;
using Vmm.Management.Commands;
using Vmm.Management.Hmp;

namespace Vmm.Host;

/// <summary>
/// Plugs and unplugs a CPU of a second, small machine while the guest of the VM boots, once by QMP and once by HMP. The .NET runtime loads
/// and links code when it is first used, which takes some milliseconds of a first request; after the rehearsal the first request takes as
/// long as later ones. No guest runs in the second machine: its hotplug registers are written from here. It has actors, monitors and a
/// journal of its own, and nothing of it can be seen from outside. It runs beside the guest, on another core where the host has one.
/// </summary>
internal static class Rehearsal
{
    private const int PluggedCpu = 1;
    private const ulong MemoryBytes = 2 << 20;

    // ACPI 6.5, sections 5.6.6 (device object notification values) and 6.3.5 (_OST).
    private const uint DeviceCheck = 1;
    private const uint EjectRequest = 3;
    private const uint Success = 0;

    /// <summary>Rehearses for a machine; at once over where all its CPUs are there for good.</summary>
    /// <exception cref="OperationCanceledException">It was stopped before its end.</exception>
    public static async Task RunAsync(MachineConfig rehearsed, CancellationToken stop)
    {
        if (rehearsed.EnabledCpus == rehearsed.PossibleCpus)
        {
            return;
        }

        CpuModel model = rehearsed.Cpu;
        var topology = new CpuTopology(1, 1, PluggedCpu + 1, 1);
        var config = new MachineConfig(model, 1, topology, MemoryBytes, new BootConfig(null, null, ""))
        {
            Accelerator = rehearsed.Accelerator,
        };
        var session = new VmSession(config, _ => { }, _ => { }, logger: Logger.None);
        await using (session.ConfigureAwait(false))
        {
            var commands = new MonitorCommands(new MonitorVm(config, session.Ask, () => { }) { Outcomes = session.AskOutcome });
            await session.Ask(new PrepareVm()).ConfigureAwait(false);
            using var qmp = new RehearsalClient(commands, session, stop);
            var hmp = new HmpMonitor(commands);
            string driver = $"{model.Name}{CpuCommands.Suffix}";
            await qmp.Negotiate().ConfigureAwait(false);
            string arguments = $$"""{"driver":"{{driver}}","id":"cpu","core-id":{{PluggedCpu}}}""";
            await PlugAndUnplug(
                session,
                () => qmp.Execute($$"""{"execute":"device_add","arguments":{{arguments}}}"""),
                () => qmp.Execute("""{"execute":"device_del","arguments":{"id":"cpu"}}"""),
                stop).ConfigureAwait(false);
            await PlugAndUnplug(
                session,
                () => hmp.Execute($"device_add {driver},id=cpu,core-id={PluggedCpu}"),
                () => hmp.Execute("device_del cpu"),
                stop).ConfigureAwait(false);
        }
    }

    private static async Task PlugAndUnplug(VmSession session, Func<Task> plug, Func<Task> unplug, CancellationToken stop)
    {
        CpuHotplugBlock registers = session.Machine.Board.CpuHotplug;
        registers.Write(CpuHotplugBlock.SelectorOffset, 4, PluggedCpu);
        await Request(session, plug, () =>
        {
            registers.Write(CpuHotplugBlock.FlagsOffset, 1, CpuHotplugBlock.FlagInsert);
            ReportOst(registers, DeviceCheck);
        }, stop).ConfigureAwait(false);
        await Request(session, unplug, () =>
        {
            registers.Write(CpuHotplugBlock.FlagsOffset, 1, CpuHotplugBlock.FlagRemove);
            registers.Write(CpuHotplugBlock.FlagsOffset, 1, CpuHotplugBlock.FlagEject);
            ReportOst(registers, EjectRequest);
        }, stop).ConfigureAwait(false);
    }

    // A request, what a guest does about it, and its outcome.
    private static async Task Request(VmSession session, Func<Task> ask, Action answer, CancellationToken stop)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void Hear(IProtocolMessage message)
        {
            if (message is HotplugOutcome)
            {
                ended.TrySetResult();
            }
        }

        session.Published += Hear;
        await ask().ConfigureAwait(false);
        answer();
        await ended.Task.WaitAsync(stop).ConfigureAwait(false);
        session.Published -= Hear;
    }

    private static void ReportOst(CpuHotplugBlock registers, uint sourceEvent)
    {
        registers.Write(CpuHotplugBlock.CommandOffset, 1, CpuHotplugBlock.CommandOstEvent);
        registers.Write(CpuHotplugBlock.DataOffset, 4, sourceEvent);
        registers.Write(CpuHotplugBlock.CommandOffset, 1, CpuHotplugBlock.CommandOstStatus);
        registers.Write(CpuHotplugBlock.DataOffset, 4, Success);
    }
}
