using Vmm.Actors.Protocol;

namespace Vmm.Management.Control;

/// <summary>The messages that are requests: a VM answers each of them once. Others have no answer, or are for its parts alone.</summary>
internal static class ControlRequests
{
    private static readonly HashSet<Type> s_asked =
    [
        typeof(GetVmStatus), typeof(StopVm), typeof(ContinueVm), typeof(ResetVm), typeof(PressPowerButton),
        typeof(GetMachineDescription), typeof(GetBoardDevices), typeof(GetJitDescription), typeof(GetMachineReport), typeof(GetPciDevices),
        typeof(GetVcpuStates), typeof(GetVcpuStatus), typeof(GetVcpuRegisters), typeof(GetVcpuThreads), typeof(GetVcpuTimes),
        typeof(GetCpusPowerState), typeof(GetAcpiOspmStatus), typeof(ReadGuestMemory), typeof(GetNetLinks),
        typeof(SaveSnapshot), typeof(LoadSnapshot), typeof(DeleteSnapshot), typeof(GetSnapshots),
        typeof(StartMigration), typeof(ReceiveMigration), typeof(GetMigration), typeof(GetMoveBlockers), typeof(CancelMigration),
        typeof(ContinueMigration), typeof(PauseMigration), typeof(YankMigration), typeof(RecoverMigration), typeof(StartPostcopy),
        typeof(SetMigrationCapabilities), typeof(GetMigrationCapabilities), typeof(SetMigrationParameters), typeof(GetMigrationParameters),
        typeof(MeasureDirtyRate), typeof(GetDirtyRate),
    ];

    /// <summary>Whether the VM answers the message at once, or when it has done what it asks for.</summary>
    public static bool IsAsked(IProtocolMessage message) =>
        s_asked.Contains(message.GetType()) || message is IBalloonCommand or IBlockCommand or IBlockImageCommand or INetCommand
            or INetdevCommand or IObjectCommand or PlugVcpu or UnplugVcpu or SetVcpuAdmin or PlugDevice or UnplugDevice;
}
