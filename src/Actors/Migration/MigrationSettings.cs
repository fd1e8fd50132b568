using System.Collections.Immutable;
using System.Globalization;
using Vmm.Actors.Protocol;

namespace Vmm.Actors.Migration;

/// <summary>The capabilities and parameters of migrations, at one moment.</summary>
internal sealed record MigrationSettings
{
    // What can be turned on. Those that stand for what is always so here are among them.
    private static readonly MigrationCapability[] s_supported =
    [
        MigrationCapability.AutoConverge, MigrationCapability.Events, MigrationCapability.LateBlockActivate, MigrationCapability.MappedRam,
        MigrationCapability.Multifd, MigrationCapability.PauseBeforeSwitchover, MigrationCapability.PostcopyRam,
        MigrationCapability.ReturnPath,
    ];

    // What cannot be on together, in QEMU's words (migration/options.c).
    private static readonly (MigrationCapability One, MigrationCapability Other, string Refusal)[] s_incompatible =
    [
        (MigrationCapability.MappedRam, MigrationCapability.PostcopyRam, "Mapped-ram migration is incompatible with postcopy"),
        (MigrationCapability.Multifd, MigrationCapability.PostcopyRam, "Postcopy is not yet compatible with multifd"),
    ];

    public static MigrationSettings Default { get; } = new();

    private ImmutableArray<bool> Capabilities { get; init; } = [.. Enum.GetValues<MigrationCapability>().Select(_ => false)];

    private ImmutableArray<string> Values { get; init; } = [.. MigrationParameterTable.Rows.Select(r => r.Default)];

    public bool Has(MigrationCapability capability) => Capabilities[(int)capability];

    public long Number(MigrationParameter parameter) => long.Parse(Values[(int)parameter], CultureInfo.InvariantCulture);

    public string Text(MigrationParameter parameter) => Values[(int)parameter];

    /// <summary>How many channels carry pages beside the stream; 0 for none.</summary>
    public int Channels => Has(MigrationCapability.Multifd) && !Has(MigrationCapability.MappedRam)
        ? (int)Number(MigrationParameter.MultifdChannels) : 0;

    /// <summary>How hard zstd tries on the channels; null for no compression.</summary>
    public int? ZstdLevel =>
        Text(MigrationParameter.MultifdCompression) == "zstd" ? (int)Number(MigrationParameter.MultifdZstdLevel) : null;

    public MigrationCapabilities Describe() => new([.. Capabilities]);

    public MigrationParameters DescribeParameters() => new([.. Values]);

    /// <summary>Why a migration with these cannot be by an address, in QEMU's words (migration/migration.c); null if it can.</summary>
    public string? RefusalOf(IMigrationEndpoint endpoint) =>
        !Has(MigrationCapability.MappedRam) ? Has(MigrationCapability.Multifd) && !endpoint.TakesChannels
            ? "Migration requires multi-channel URIs (e.g. tcp)" : null
        : endpoint.File == null ? "Migration requires seekable transport (e.g. file)"
        : Text(MigrationParameter.MultifdCompression) != "none" ? "Cannot use compression with mapped-ram"
        : null;

    /// <summary>These with some capabilities turned on or off.</summary>
    /// <param name="refusal">Why not, and then nothing is; null if they are.</param>
    public MigrationSettings With(SetMigrationCapabilities set, out string? refusal)
    {
        refusal = set.Capabilities.Length != set.On.Length ? "there are not as many values as capabilities"
            : Array.Exists(set.Capabilities, c => !Enum.IsDefined(c)) ? "there is no such capability"
            : null;
        MigrationSettings changed = this;
        for (int i = 0; refusal == null && i < set.On.Length; i++)
        {
            refusal = set.On[i] && !s_supported.Contains(set.Capabilities[i])
                ? $"Capability '{MigrationParameterTable.NameOf(set.Capabilities[i])}' is not supported by this VM" : null;
            changed = changed with { Capabilities = changed.Capabilities.SetItem((int)set.Capabilities[i], set.On[i]) };
        }

        refusal ??= Array.Find(s_incompatible, pair => changed.Has(pair.One) && changed.Has(pair.Other)).Refusal;

        return refusal == null ? changed : this;
    }

    /// <summary>These with some parameters of other values.</summary>
    /// <param name="refusal">Why not, and then nothing is; null if they are.</param>
    public MigrationSettings With(SetMigrationParameters set, out string? refusal)
    {
        refusal = set.Parameters.Length != set.Values.Length ? "there are not as many values as parameters"
            : Array.Exists(set.Parameters, p => !Enum.IsDefined(p)) ? "there is no such parameter"
            : null;
        MigrationSettings changed = this;
        for (int i = 0; refusal == null && i < set.Values.Length; i++)
        {
            refusal = MigrationParameterTable.RefusalOf(set.Parameters[i], set.Values[i]);
            changed = changed with { Values = changed.Values.SetItem((int)set.Parameters[i], set.Values[i]) };
        }

        return refusal == null ? changed : this;
    }
}
