using Akka.Actor;
using Akka.Configuration;
using Akka.Serialization;
using Vmm.Actors.Serialization;
using Vmm.Fleet.Ledger;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Serialization;

/// <summary>
/// The only form in which messages of the fleet leave the process or are kept: a short manifest from a closed list, and JSON. No type name
/// is ever read.
/// </summary>
public sealed class FleetSerializer(ExtendedActorSystem system) : SerializerWithStringManifest(system)
{
    /// <summary>The constructor that Akka calls for a serializer whose name has settings in the configuration.</summary>
    public FleetSerializer(ExtendedActorSystem system, Config settings)
        : this(system) => ArgumentNullException.ThrowIfNull(settings);

    // Manifests are on disk: never change or reuse one. A message whose members change gets its old one with the next number behind it.
    internal static MessageTable Table { get; } = new("fleet", FleetJson.Default,
    [
        ("start", typeof(RunVm)), ("stop", typeof(EndVm)), ("resize", typeof(ResizeVm)), ("cpu", typeof(ChangeCpu)),
        ("save", typeof(SaveVm)), ("restore", typeof(RestoreVm)), ("receive", typeof(ReceiveVm)), ("send", typeof(SendVm)),
        ("remove", typeof(RemoveVm)), ("ended", typeof(RequestEnded)), ("report", typeof(VmReport)), ("report?", typeof(GetVmReport)),
        ("node", typeof(NodeReport)), ("node?", typeof(GetNodeReport)),
        ("status", typeof(NodeStatus)), ("status?", typeof(GetNodeStatus)), ("drain", typeof(SetNodeTakesVms)),
        ("located", typeof(VmLocated)), ("place?", typeof(PlaceVm)), ("place", typeof(VmPlaced)),
        ("create", typeof(CreateVm)), ("command", typeof(CommandVm)), ("vm?", typeof(GetVm)), ("vm", typeof(VmRecord)),
        ("op?", typeof(GetOperation)), ("op", typeof(VmOperation)), ("rejected", typeof(VmRejected)), ("seen", typeof(VmSeen)),
        ("e-created", typeof(VmCreated)), ("e-begun", typeof(OperationBegun)), ("e-ended", typeof(OperationEnded)),
        ("e-moved", typeof(VmMoved)), ("e-down", typeof(GuestPoweredDown)), ("e-deleted", typeof(VmDeleted)),
        ("scale", typeof(SetScaling)), ("scaled", typeof(VmScaled)), ("e-scaling", typeof(ScalingSet)),
        ("times?", typeof(GetVmTimes)), ("times", typeof(VmTimes)), ("forget", typeof(ForgetMeter)),
        ("count", typeof(CountMeter)), ("counted", typeof(MeterCounted)), ("cpus?", typeof(AskCpus)), ("cpus", typeof(CpusAnswered)),
        ("quota", typeof(ChangeQuota)), ("account?", typeof(GetAccount)), ("account", typeof(AccountState)),
        ("usage?", typeof(GetUsage)), ("usage", typeof(AccountUsage)),
        ("view?", typeof(GetVmView)), ("view", typeof(VmView)), ("history?", typeof(GetVmHistory)), ("history", typeof(VmHistory)),
        ("read", typeof(ReadConsole)), ("output", typeof(ConsoleOutput)), ("write", typeof(WriteConsole)),
        ("written", typeof(ConsoleWritten)), ("follow", typeof(FollowEvents)),
        ("l-read", typeof(MeterRead)), ("l-cpus", typeof(CpusGranted)), ("l-quota", typeof(QuotaSet)), ("l-all", typeof(AccountSnapshot)),
    ]);

    public override int Identifier => 7002;

    public override string Manifest(object o) => Table.ManifestOf(o);

    public override byte[] ToBinary(object obj) => Table.Encode(obj);

    public override object FromBinary(byte[] bytes, string manifest) => Table.Decode(bytes, manifest);
}
