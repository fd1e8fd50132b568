using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Mvc;
using Vmm.Fleet.Ledger;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Rest;

/// <summary>The body of a request to make a VM.</summary>
/// <param name="Name">1 to 63 lower-case letters, digits and '-'.</param>
/// <param name="Owner">Who has it; whoever asks without.</param>
/// <param name="Node">Where it is to be; the placement chooses one without.</param>
public sealed record NewVm(
    string Name, VmSpec Spec, string? Owner = null, string? Node = null, FailurePolicy Policy = FailurePolicy.Restart);

/// <summary>The body of a request to do something with a VM.</summary>
/// <param name="Number">
/// Of Stop the seconds that the guest may take, of Resize how many CPUs, of Plug, Unplug, Enable, Disable which CPU.
/// </param>
/// <param name="Text">Of Save and Restore the snapshot, of Migrate the node.</param>
public sealed record NewOperation(VmAction Action, int Number = 0, string Text = "");

/// <summary>The body of a request about a node.</summary>
/// <param name="TakesVms">False: its VMs are to move to others, and no VM comes to it.</param>
public sealed record NodeChange(bool TakesVms);

/// <summary>An enumeration that is taken by name alone: a number could be none of its members.</summary>
public sealed class NameOf<T>() : JsonStringEnumConverter<T>(namingPolicy: null, allowIntegerValues: false)
    where T : struct, Enum;

/// <summary>Whose token a request has.</summary>
public sealed record Asker(string Name, RestRole Role);

/// <summary>What a node sees of one of its VMs, as <see cref="VmReport"/> says.</summary>
public sealed record VmAtNode(string Node, string Vm, ProcessState State, string Detail, int Process, int EnabledCpus);

/// <summary>What is typed at the serial line of a VM.</summary>
/// <param name="Text">It is sent as UTF-8.</param>
public sealed record ConsoleInput(string Text);

/// <summary>What the guest has written to its serial line.</summary>
/// <param name="Bytes">In base64.</param>
public sealed record ConsoleBytes(byte[] Bytes);

/// <summary>The JSON form of what REST takes and gives.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true,
    Converters = [typeof(NameOf<VmAction>), typeof(NameOf<FailurePolicy>)], UseStringEnumConverter = true,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow)]
[JsonSerializable(typeof(NewVm))]
[JsonSerializable(typeof(NewOperation))]
[JsonSerializable(typeof(VmRecord))]
[JsonSerializable(typeof(VmRecord[]))]
[JsonSerializable(typeof(VmOperation))]
[JsonSerializable(typeof(NodeReport))]
[JsonSerializable(typeof(NodeChange))]
[JsonSerializable(typeof(NodeStatus))]
[JsonSerializable(typeof(NodeStatus[]))]
[JsonSerializable(typeof(VmReport))]
[JsonSerializable(typeof(VmAtNode))]
[JsonSerializable(typeof(VmScaled))]
[JsonSerializable(typeof(ScalingSpec))]
[JsonSerializable(typeof(AccountState))]
[JsonSerializable(typeof(OwnerQuota))]
[JsonSerializable(typeof(Asker))]
[JsonSerializable(typeof(ConsoleInput))]
[JsonSerializable(typeof(ConsoleBytes))]
[JsonSerializable(typeof(VmView))]
[JsonSerializable(typeof(ProblemDetails))]
[JsonSerializable(typeof(string))]
public sealed partial class RestJson : JsonSerializerContext;
