using Vmm.Actors.Migration;
using Vmm.Actors.Protocol;

namespace Vmm.Management.Tests;

/// <summary>The coordinator of migrations as it answers when nobody migrates, in QEMU's words; a test can say that somebody does.</summary>
internal sealed class FakeMigration
{
    private readonly bool[] _capabilities = new bool[Enum.GetValues<MigrationCapability>().Length];
    private readonly string[] _parameters = [.. MigrationParameterTable.Rows.Select(r => r.Default)];

    public static MigrationInfo Nothing { get; } = new(
        MigrationStatus.None, Incoming: false, "", "", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, [], []);

    /// <summary>What <see cref="GetMigration"/> gives: each in turn, and the last from then on.</summary>
    public Queue<MigrationInfo> Infos { get; } = new([Nothing]);

    /// <summary>A migration can be begun; otherwise it is refused.</summary>
    public bool Works { get; set; }

    public DirtyRate Rate { get; set; } = new(Measuring: false, 0, 0, 0);

    /// <summary>What was asked for, without queries.</summary>
    public List<IProtocolMessage> Asked { get; } = [];

    /// <summary>Null for a message that is no affair of migrations.</summary>
    public IProtocolMessage? Answer(IProtocolMessage message, Action<IProtocolMessage> publish)
    {
        switch (message)
        {
            case GetMigration:
                return Infos.Count > 1 ? Infos.Dequeue() : Infos.Peek();
            case GetMigrationCapabilities:
                return new MigrationCapabilities([.. _capabilities]);
            case GetMigrationParameters:
                return new MigrationParameters([.. _parameters]);
            case GetDirtyRate:
                return Rate;
            case StartMigration or ReceiveMigration or RecoverMigration or CancelMigration or ContinueMigration or PauseMigration
                or YankMigration or StartPostcopy or SetMigrationCapabilities or SetMigrationParameters or MeasureDirtyRate:
                Asked.Add(message);
                return Works ? Do(message, publish) : Refuse(message) is { } reason
                    ? new VmCommandRejected(RejectionCode.WrongRunState, reason)
                    : Do(message, publish);
            default:
                return null;
        }
    }

    private static string? Refuse(IProtocolMessage message) => message switch
    {
        StartMigration { Resume: true } => "Cannot resume if there is no paused migration",
        StartMigration { Uri: "tcp:localhost" } => "error parsing address 'localhost'",
        StartMigration start => $"unknown migration protocol: {start.Uri}",
        ReceiveMigration => "'-incoming' was not specified on the command line",
        RecoverMigration => "Migrate recover can only be run when postcopy is paused.",
        ContinueMigration => "Migration not in expected state: none",
        PauseMigration => "migrate-pause is currently only supported during postcopy-active or postcopy-recover state",
        StartPostcopy => "Enable postcopy with migrate_set_capability before the start of migration",
        SetMigrationCapabilities { Capabilities: [MigrationCapability.PostcopyPreempt], On: [true] } =>
            "Postcopy preempt requires postcopy-ram",
        SetMigrationParameters set => set.Parameters.Zip(set.Values, MigrationParameterTable.RefusalOf).FirstOrDefault(r => r != null),
        _ => null,
    };

    private IProtocolMessage Do(IProtocolMessage message, Action<IProtocolMessage> publish)
    {
        switch (message)
        {
            case SetMigrationCapabilities set:
                for (int i = 0; i < set.Capabilities.Length; i++)
                {
                    _capabilities[(int)set.Capabilities[i]] = set.On[i];
                }

                publish(new MigrationCapabilities([.. _capabilities]));
                break;
            case SetMigrationParameters set:
                for (int i = 0; i < set.Parameters.Length; i++)
                {
                    _parameters[(int)set.Parameters[i]] = set.Values[i];
                }

                break;
            case StartMigration or ReceiveMigration or RecoverMigration:
                return new MigrationStarted("");
        }

        return new MigrationCommandDone();
    }
}
