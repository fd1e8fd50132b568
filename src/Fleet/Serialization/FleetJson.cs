using System.Text.Json.Serialization;
using Vmm.Fleet.Ledger;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Serialization;

/// <summary>
/// The JSON form of the fleet's messages: all members, none of them null, enumerations by name. Each message has a line.
/// </summary>
[JsonSourceGenerationOptions(
    RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true, UseStringEnumConverter = true)]
[JsonSerializable(typeof(RunVm))]
[JsonSerializable(typeof(EndVm))]
[JsonSerializable(typeof(ResizeVm))]
[JsonSerializable(typeof(ChangeCpu))]
[JsonSerializable(typeof(SaveVm))]
[JsonSerializable(typeof(RestoreVm))]
[JsonSerializable(typeof(ReceiveVm))]
[JsonSerializable(typeof(SendVm))]
[JsonSerializable(typeof(RemoveVm))]
[JsonSerializable(typeof(RequestEnded))]
[JsonSerializable(typeof(VmReport))]
[JsonSerializable(typeof(GetVmReport))]
[JsonSerializable(typeof(NodeReport))]
[JsonSerializable(typeof(GetNodeReport))]
[JsonSerializable(typeof(CreateVm))]
[JsonSerializable(typeof(CommandVm))]
[JsonSerializable(typeof(GetVm))]
[JsonSerializable(typeof(VmRecord))]
[JsonSerializable(typeof(GetOperation))]
[JsonSerializable(typeof(VmOperation))]
[JsonSerializable(typeof(VmRejected))]
[JsonSerializable(typeof(VmSeen))]
[JsonSerializable(typeof(VmCreated))]
[JsonSerializable(typeof(OperationBegun))]
[JsonSerializable(typeof(OperationEnded))]
[JsonSerializable(typeof(VmMoved))]
[JsonSerializable(typeof(GuestPoweredDown))]
[JsonSerializable(typeof(VmDeleted))]
[JsonSerializable(typeof(VmTimes))]
[JsonSerializable(typeof(GetVmTimes))]
[JsonSerializable(typeof(ForgetMeter))]
[JsonSerializable(typeof(CountMeter))]
[JsonSerializable(typeof(MeterCounted))]
[JsonSerializable(typeof(AskCpus))]
[JsonSerializable(typeof(CpusAnswered))]
[JsonSerializable(typeof(ChangeQuota))]
[JsonSerializable(typeof(GetAccount))]
[JsonSerializable(typeof(AccountState))]
[JsonSerializable(typeof(GetUsage))]
[JsonSerializable(typeof(AccountUsage))]
[JsonSerializable(typeof(MeterRead))]
[JsonSerializable(typeof(CpusGranted))]
[JsonSerializable(typeof(QuotaSet))]
[JsonSerializable(typeof(AccountSnapshot))]
[JsonSerializable(typeof(SetScaling))]
[JsonSerializable(typeof(ScalingSet))]
[JsonSerializable(typeof(VmScaled))]
internal sealed partial class FleetJson : JsonSerializerContext;
