using System.Runtime.Serialization;
using Akka.Actor;
using Akka.Configuration;
using Akka.Serialization;
using Vmm.Actors.Protocol;

namespace Vmm.Actors.Serialization;

/// <summary>
/// The only form in which protocol messages leave the process or enter a journal: a short manifest from a closed list, and the
/// record's primitives as JSON, all of them and none null. No type name is ever read from the wire; an unknown manifest is an error.
/// </summary>
public sealed class ProtocolSerializer(ExtendedActorSystem system) : SerializerWithStringManifest(system)
{
    /// <summary>The constructor that Akka calls for a serializer whose name has settings in the configuration.</summary>
    public ProtocolSerializer(ExtendedActorSystem system, Config settings)
        : this(system) => ArgumentNullException.ThrowIfNull(settings);

    // Manifests are on disk and on the wire: never change or reuse one. A message whose members change gets its old one with the next
    // number behind it.
    private static readonly MessageTable s_table = new("protocol", ProtocolJson.Default,
    [
        ("vc", typeof(CreateVcpu)), ("vr", typeof(VcpuReady)), ("vx", typeof(RemoveVcpu)), ("vg", typeof(VcpuRemoved)),
        ("vo", typeof(PowerOnVcpu)), ("vb", typeof(StartBootVcpu)), ("vz", typeof(ResetVcpus)), ("vP", typeof(PauseVcpus)),
        ("vQ", typeof(VcpusPaused)), ("vR", typeof(ResumeVcpus)), ("vp", typeof(PauseVcpu)), ("vq", typeof(VcpuPaused)),
        ("vu", typeof(ResumeVcpu)), ("vw", typeof(ResetVcpu)), ("vf", typeof(VcpuFailed)), ("vO", typeof(GuestPoweredOff)),
        ("vZ", typeof(GuestReset)), ("v?", typeof(GetVcpuStates)), ("v!2", typeof(VcpuStates)), ("vs2", typeof(VcpuStateChanged)),
        ("vt", typeof(GetVcpuTimes)), ("vT", typeof(VcpuTimes)),
        ("vd", typeof(GetVcpuStatus)), ("vD2", typeof(VcpuStatus)), ("ve", typeof(DescribeVcpuStatus)),
        ("ms", typeof(StartVm)), ("ma", typeof(PrepareVm)), ("mp", typeof(StopVm)), ("mc", typeof(ContinueVm)), ("mr", typeof(ResetVm)),
        ("m?", typeof(GetVmStatus)), ("m!2", typeof(VmStatus)), ("mx2", typeof(VmCommandRejected)),
        ("mw", typeof(PressPowerButton)), ("mg", typeof(GetVcpuRegisters)), ("mG", typeof(VcpuRegisters)),
        ("ga", typeof(AttachCpuInterface)), ("gA", typeof(CpuInterfaceAttached)), ("gd", typeof(DetachCpuInterface)),
        ("gD", typeof(CpuInterfaceDetached)), ("ds", typeof(SendSerial)), ("mf", typeof(PartFailed)),
        ("md", typeof(GetMachineDescription)), ("mD", typeof(MachineDescription)), ("mb", typeof(GetBoardDevices)),
        ("mB2", typeof(BoardDevices)), ("mj", typeof(GetJitDescription)),
        ("mJ", typeof(JitDescription)),
        ("dz", typeof(ResetDevices)), ("dZ", typeof(DevicesReset)), ("dc", typeof(AnnounceCpuEvent)), ("d?", typeof(GetDeviceState)),
        ("d!", typeof(DeviceState)), ("dl", typeof(LoadDeviceState)), ("dL", typeof(DeviceStateLoaded)),
        ("hp", typeof(PlugVcpu)), ("hu", typeof(UnplugVcpu)), ("ha", typeof(HotplugAccepted)), ("hx2", typeof(HotplugRejected)),
        ("ho3", typeof(HotplugOutcome)), ("ht", typeof(CpuStepTaken)), ("h?", typeof(GetPluggedVcpus)), ("h!", typeof(PluggedVcpus)),
        ("ro", typeof(AcpiDeviceOst)), ("r?", typeof(GetAcpiOspmStatus)), ("r!", typeof(AcpiOspmStatus)), ("rz2", typeof(VmReset)),
        ("rs2", typeof(VmShutdown)),
        ("rw", typeof(PowerButtonPressed)), ("rm", typeof(ReadGuestMemory)), ("rM", typeof(GuestMemoryRead)),
        ("rd2", typeof(GetMachineReport)),
        ("rD", typeof(MachineReport)), ("rt", typeof(VcpuThreadStarted)), ("rq", typeof(GetVcpuThreads)), ("rT", typeof(VcpuThreads)),
        ("jp", typeof(PlugStarted)), ("jc", typeof(PlugConfirmed)), ("jr", typeof(PlugRefused)), ("ju", typeof(UnplugStarted)),
        ("ja", typeof(EnableStarted)), ("jb", typeof(DisableStarted)), ("jz", typeof(DisableCompleted)), ("hs", typeof(SetVcpuAdmin)),
        ("hw", typeof(GetCpusPowerState)), ("hd2", typeof(DescribeCpusPower)), ("hW2", typeof(CpusPowerState)),
        ("jf", typeof(UnplugRefused)), ("jd", typeof(UnplugCompleted)), ("jt", typeof(HotplugTimedOut)), ("jx", typeof(HotplugCancelled)),
        ("jl", typeof(CpuRestored)), ("ss2", typeof(SaveSnapshot)), ("sS", typeof(SnapshotSaved)), ("sl", typeof(LoadSnapshot)),
        ("sL", typeof(SnapshotLoaded)), ("sd", typeof(DeleteSnapshot)), ("sD", typeof(SnapshotDeleted)), ("s?", typeof(GetSnapshots)),
        ("s!2", typeof(SnapshotList)), ("mN", typeof(VmNotice)),
        ("gs", typeof(StartMigration)), ("gr", typeof(ReceiveMigration)), ("gS", typeof(MigrationStarted)),
        ("gp", typeof(PrepareIncoming)), ("gc", typeof(CancelMigration)), ("gn", typeof(ContinueMigration)),
        ("gu", typeof(PauseMigration)), ("gy", typeof(YankMigration)), ("gv", typeof(RecoverMigration)),
        ("gq", typeof(StartPostcopy)), ("gk", typeof(MigrationCommandDone)),
        ("gb", typeof(SetMigrationCapabilities)), ("g1", typeof(GetMigrationCapabilities)),
        ("gB", typeof(MigrationCapabilities)), ("gm", typeof(SetMigrationParameters)), ("g2", typeof(GetMigrationParameters)),
        ("gM", typeof(MigrationParameters)), ("g?", typeof(GetMigration)), ("g!", typeof(MigrationInfo)),
        ("gx", typeof(GetMoveBlockers)), ("gX", typeof(MoveBlockers)),
        ("gt", typeof(MeasureDirtyRate)), ("g3", typeof(GetDirtyRate)), ("gT", typeof(DirtyRate)), ("ge", typeof(MigrationChanged)),
        ("gP", typeof(MigrationPassed)),
        ("b?", typeof(GetBlockDevices)), ("b!4", typeof(BlockDevices)), ("br", typeof(ResizeBlock)), ("bk", typeof(BlockCommandDone)),
        ("bl", typeof(LimitBlock)), ("bo", typeof(PutBlockOverlay)), ("bx", typeof(EjectBlock)), ("ba", typeof(AddBlockImage)),
        ("bd", typeof(RemoveBlockImage)), ("bu", typeof(GetUnusedImages)), ("bU", typeof(GetUnusedNodes)), ("bn", typeof(GetBlockNodes)),
        ("bN2", typeof(BlockNodes)), ("bs", typeof(MakeBlockSnapshot)), ("bS", typeof(DeleteBlockSnapshot)),
        ("bsd", typeof(BlockSnapshotDeleted)),
        ("be2", typeof(BlockIoFailed)), ("dp", typeof(SerialPortChanged)),
        ("db", typeof(SetBalloon)), ("dB", typeof(GetBalloon)), ("di", typeof(BalloonSize)), ("dI", typeof(BalloonChanged)),
        ("dy", typeof(GetBalloonStatistics)), ("dY", typeof(BalloonStatistics)), ("dj", typeof(PollBalloonStatistics)),
        ("n?", typeof(GetNetLinks)), ("n!", typeof(NetLinks)), ("nl", typeof(SetNetLink)), ("nk", typeof(NetCommandDone)),
        ("nf", typeof(AddHostForward)), ("nr", typeof(RemoveHostForward)), ("nc", typeof(GetNetConnections)),
        ("nC", typeof(NetConnections)), ("na", typeof(AnnounceNet)), ("n+", typeof(AddNetdev)), ("n-", typeof(RemoveNetdev)),
        ("o+", typeof(AddObject)), ("o-", typeof(RemoveObject)), ("ok", typeof(ObjectCommandDone)),
        ("pp", typeof(PlugDevice)), ("pu", typeof(UnplugDevice)), ("p?", typeof(GetPciDevices)), ("p!", typeof(PciDevices)),
        ("jL", typeof(MigrationLeft)), ("jG", typeof(MigrationGone)), ("jA", typeof(MigrationArrived)), ("jO", typeof(MigrationOwned)),
        ("kg", typeof(ControlGreeting)), ("ks", typeof(SubscribeEvents)), ("kS", typeof(EventsSubscribed)), ("kq", typeof(QuitVm)),
        ("kQ", typeof(VmQuitting)),
    ]);

    public override int Identifier => 7001;

    public override string Manifest(object o) => ManifestOf(o);

    public override byte[] ToBinary(object obj) => Encode(obj);

    public override object FromBinary(byte[] bytes, string manifest) => Decode(bytes, manifest);

    /// <exception cref="SerializationException">The object is no protocol message.</exception>
    public static string ManifestOf(object message) => s_table.ManifestOf(message);

    /// <summary>The primitives of a message as JSON.</summary>
    /// <exception cref="SerializationException">The object is no protocol message.</exception>
    public static byte[] Encode(object message) => s_table.Encode(message);

    /// <summary>The message that <see cref="Encode"/> has written.</summary>
    /// <exception cref="SerializationException">The bytes are no message of that manifest.</exception>
    public static IProtocolMessage Decode(byte[] bytes, string manifest) => (IProtocolMessage)s_table.Decode(bytes, manifest);
}
