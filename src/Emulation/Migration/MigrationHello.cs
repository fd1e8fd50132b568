using System.Text.Json;
using System.Text.Json.Serialization;
using Vmm.Emulation.Snapshots;

namespace Vmm.Emulation.Migration;

/// <summary>What a sender says of itself before a byte of RAM moves.</summary>
/// <param name="Product">The version of the program; for people.</param>
/// <param name="Session">A number of this migration alone, the same in the journals of both sides.</param>
/// <param name="Resume">The guest runs at the receiver already; a lost link is taken up again.</param>
/// <param name="Machine">What the receiver's machine must have in common with it.</param>
public sealed record MigrationHello(string Product, Guid Session, bool Resume, SavedMachine Machine)
{
    /// <summary>How many channels carry pages beside the stream (multifd); 0 for none.</summary>
    public int Channels { get; init; }

    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, HelloJson.Default.MigrationHello);

    /// <exception cref="MigrationException">It is none, or has values that cannot be.</exception>
    public static MigrationHello Parse(ReadOnlySpan<byte> json)
    {
        try
        {
            return JsonSerializer.Deserialize(json, HelloJson.Default.MigrationHello) is { Machine.IsPossible: true } hello ? hello
                : throw new MigrationException("the sender's description of its machine has an impossible value");
        }
        catch (JsonException e)
        {
            throw new MigrationException($"the sender's description of its machine is wrong: {SnapshotFormat.Legible(e.Message)}", e);
        }
    }

    /// <summary>Finds everything in which a machine differs from the sender's.</summary>
    /// <exception cref="MigrationException">It does: one line that names each.</exception>
    public void RequireFits(SavedMachine here)
    {
        IReadOnlyList<string> differences = Machine.DifferencesFrom(here);
        if (differences.Count > 0)
        {
            throw new MigrationException($"the machines differ: it has {string.Join(", ", differences)}");
        }
    }
}

/// <summary>How it becomes JSON and back, made when Vmm is compiled. Members that are not known are passed over.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(MigrationHello))]
internal sealed partial class HelloJson : JsonSerializerContext;
