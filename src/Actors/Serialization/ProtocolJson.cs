using System.Text.Json.Serialization;
using Vmm.Actors.Protocol;

namespace Vmm.Actors.Serialization;

/// <summary>An enumeration by the names of its members; a number is refused.</summary>
internal sealed class NamedEnum<T>() : JsonStringEnumConverter<T>(namingPolicy: null, allowIntegerValues: false)
    where T : struct, Enum;

/// <summary>
/// The JSON form of messages, generated when Vmm is compiled: all members, none of them null. Each message and each enumeration has a line.
/// </summary>
[JsonSourceGenerationOptions(
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    Converters =
    [
        typeof(NamedEnum<VmRunState>), typeof(NamedEnum<ShutdownCause>), typeof(NamedEnum<ReportSubject>),
        typeof(NamedEnum<RejectionCode>), typeof(NamedEnum<VcpuState>), typeof(NamedEnum<PsciPowerState>),
        typeof(NamedEnum<CpuAdminState>), typeof(NamedEnum<CpuOperationalState>), typeof(NamedEnum<HotplugOutcomeKind>),
        typeof(NamedEnum<HotplugOperation>),
    ])]
[JsonSerializable(typeof(CreateVcpu))]
[JsonSerializable(typeof(VcpuReady))]
[JsonSerializable(typeof(RemoveVcpu))]
[JsonSerializable(typeof(VcpuRemoved))]
[JsonSerializable(typeof(PowerOnVcpu))]
[JsonSerializable(typeof(StartBootVcpu))]
[JsonSerializable(typeof(ResetVcpus))]
[JsonSerializable(typeof(PauseVcpus))]
[JsonSerializable(typeof(VcpusPaused))]
[JsonSerializable(typeof(ResumeVcpus))]
[JsonSerializable(typeof(PauseVcpu))]
[JsonSerializable(typeof(VcpuPaused))]
[JsonSerializable(typeof(ResumeVcpu))]
[JsonSerializable(typeof(ResetVcpu))]
[JsonSerializable(typeof(VcpuFailed))]
[JsonSerializable(typeof(GuestPoweredOff))]
[JsonSerializable(typeof(GuestReset))]
[JsonSerializable(typeof(GetVcpuStates))]
[JsonSerializable(typeof(VcpuStates))]
[JsonSerializable(typeof(VcpuStateChanged))]
[JsonSerializable(typeof(GetVcpuStatus))]
[JsonSerializable(typeof(VcpuStatus))]
[JsonSerializable(typeof(DescribeVcpuStatus))]
[JsonSerializable(typeof(StartVm))]
[JsonSerializable(typeof(PrepareVm))]
[JsonSerializable(typeof(StopVm))]
[JsonSerializable(typeof(ContinueVm))]
[JsonSerializable(typeof(ResetVm))]
[JsonSerializable(typeof(GetVmStatus))]
[JsonSerializable(typeof(VmStatus))]
[JsonSerializable(typeof(VmCommandRejected))]
[JsonSerializable(typeof(PressPowerButton))]
[JsonSerializable(typeof(GetVcpuRegisters))]
[JsonSerializable(typeof(VcpuRegisters))]
[JsonSerializable(typeof(AttachCpuInterface))]
[JsonSerializable(typeof(CpuInterfaceAttached))]
[JsonSerializable(typeof(DetachCpuInterface))]
[JsonSerializable(typeof(CpuInterfaceDetached))]
[JsonSerializable(typeof(SendSerial))]
[JsonSerializable(typeof(PartFailed))]
[JsonSerializable(typeof(GetMachineDescription))]
[JsonSerializable(typeof(MachineDescription))]
[JsonSerializable(typeof(GetBoardDevices))]
[JsonSerializable(typeof(BoardDevices))]
[JsonSerializable(typeof(GetJitDescription))]
[JsonSerializable(typeof(JitDescription))]
[JsonSerializable(typeof(ResetDevices))]
[JsonSerializable(typeof(DevicesReset))]
[JsonSerializable(typeof(AnnounceCpuEvent))]
[JsonSerializable(typeof(GetDeviceState))]
[JsonSerializable(typeof(DeviceState))]
[JsonSerializable(typeof(LoadDeviceState))]
[JsonSerializable(typeof(DeviceStateLoaded))]
[JsonSerializable(typeof(PlugVcpu))]
[JsonSerializable(typeof(UnplugVcpu))]
[JsonSerializable(typeof(HotplugAccepted))]
[JsonSerializable(typeof(HotplugRejected))]
[JsonSerializable(typeof(HotplugOutcome))]
[JsonSerializable(typeof(GetPluggedVcpus))]
[JsonSerializable(typeof(PluggedVcpus))]
[JsonSerializable(typeof(AcpiDeviceOst))]
[JsonSerializable(typeof(GetAcpiOspmStatus))]
[JsonSerializable(typeof(AcpiOspmStatus))]
[JsonSerializable(typeof(VmReset))]
[JsonSerializable(typeof(VmShutdown))]
[JsonSerializable(typeof(PowerButtonPressed))]
[JsonSerializable(typeof(ReadGuestMemory))]
[JsonSerializable(typeof(GuestMemoryRead))]
[JsonSerializable(typeof(GetMachineReport))]
[JsonSerializable(typeof(MachineReport))]
[JsonSerializable(typeof(VcpuThreadStarted))]
[JsonSerializable(typeof(GetVcpuThreads))]
[JsonSerializable(typeof(VcpuThreads))]
[JsonSerializable(typeof(PlugStarted))]
[JsonSerializable(typeof(PlugConfirmed))]
[JsonSerializable(typeof(PlugRefused))]
[JsonSerializable(typeof(UnplugStarted))]
[JsonSerializable(typeof(EnableStarted))]
[JsonSerializable(typeof(DisableStarted))]
[JsonSerializable(typeof(DisableCompleted))]
[JsonSerializable(typeof(SetVcpuAdmin))]
[JsonSerializable(typeof(GetCpusPowerState))]
[JsonSerializable(typeof(DescribeCpusPower))]
[JsonSerializable(typeof(CpusPowerState))]
[JsonSerializable(typeof(UnplugRefused))]
[JsonSerializable(typeof(UnplugCompleted))]
[JsonSerializable(typeof(HotplugTimedOut))]
[JsonSerializable(typeof(HotplugCancelled))]
internal sealed partial class ProtocolJson : JsonSerializerContext;
