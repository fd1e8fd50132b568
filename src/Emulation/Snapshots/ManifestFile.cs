using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Vmm.Emulation.Snapshots;

/// <summary>
/// A manifest as JSON that ends with its own checksum: the last member is <c>"crc32c"</c>, the CRC-32C of all bytes before the comma in
/// front of it. What follows that comma has one form alone, so that each bit of the file is checked.
/// </summary>
internal static class ManifestFile
{
    private static readonly byte[] s_end = "\n}"u8.ToArray();

    private static byte[] Tail(uint checksum) => Encoding.ASCII.GetBytes($",\n  \"crc32c\": \"{SnapshotFormat.Text(checksum)}\"\n}}\n");

    public static byte[] Write(SnapshotManifest manifest)
    {
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(manifest, ManifestJson.Default.SnapshotManifest);
        ReadOnlySpan<byte> body = json.AsSpan(0, json.Length - s_end.Length);
        return json.AsSpan().EndsWith(s_end) ? [.. body, .. Tail(Crc32C.Of(body))]
            : throw new InvalidOperationException("the manifest does not end as JSON with indents does");
    }

    /// <summary>The checksum that a manifest, which is right, ends with.</summary>
    public static string ChecksumOf(ReadOnlySpan<byte> bytes) => SnapshotFormat.Text(Crc32C.Of(bytes[..^Tail(0).Length]));

    /// <exception cref="SnapshotException">It is damaged, no manifest, or of a later format.</exception>
    public static SnapshotManifest Read(ReadOnlySpan<byte> bytes)
    {
        int tail = Tail(0).Length;
        if (bytes.Length <= tail || !bytes[^tail..].SequenceEqual(Tail(Crc32C.Of(bytes[..^tail]))))
        {
            throw Damaged("its checksum is wrong");
        }

        SnapshotManifest manifest;
        try
        {
            byte[] json = [.. bytes[..^tail], .. s_end];
            using var document = JsonDocument.Parse(json);
            int version = document.RootElement.TryGetProperty("format", out JsonElement format) ? format.GetInt32()
                : throw Damaged("it names no format");
            if (version is < 1 or > SnapshotManifest.CurrentFormat)
            {
                throw new SnapshotException(SnapshotFault.Mismatch,
                    $"it has the format {version}, but this program reads 1 to {SnapshotManifest.CurrentFormat}");
            }

            manifest = JsonSerializer.Deserialize(json, ManifestJson.Default.SnapshotManifest) ?? throw Damaged("it is null");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw Damaged(SnapshotFormat.Legible(e.Message), e);
        }

        bool possible = manifest.Generation > 0 && manifest.Machine.IsPossible && Array.TrueForAll(manifest.Disks ?? [], d => d != null)
            && manifest.Cpus.LongLength == manifest.Machine.PossibleCpus
            && manifest.State.Length >= 0 && manifest.Ram.Length >= 0 && manifest.Ram.Map.Length >= 0
            && Array.TrueForAll(manifest.Cpus, c => c != null) && Enum.IsDefined(manifest.Ram.Compression)
            && (manifest.Parent == null || (manifest.Format > 1 && SnapshotFormat.IsTag(manifest.Parent.Tag)));
        return possible ? manifest : throw Damaged("it holds an impossible value");
    }

    private static SnapshotException Damaged(string how, Exception? cause = null) =>
        new(SnapshotFault.Damaged, $"{SnapshotFormat.Manifest} is damaged: {how}", cause);
}

/// <summary>How the manifest becomes JSON and back, made when Vmm is compiled. Members that are not known are passed over.</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true,
    NewLine = "\n",
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    Converters = [typeof(NamedCompression)])]
[JsonSerializable(typeof(SnapshotManifest))]
[JsonSerializable(typeof(SavedDisk[]))]
internal sealed partial class ManifestJson : JsonSerializerContext;

/// <summary>
/// A compression by its name, in small letters. The converter of .NET for any enumeration would be compiled when it is first used.
/// </summary>
internal sealed class NamedCompression : JsonConverter<RamCompression>
{
    private static readonly string[] s_names =
        [.. Enum.GetNames<RamCompression>().Select(name => name.ToLowerInvariant())];

    public override RamCompression Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        int found = reader.TokenType == JsonTokenType.String ? Array.IndexOf(s_names, reader.GetString()) : -1;
        return found >= 0 ? (RamCompression)found
            : throw new JsonException($"there is no such compression: there are {string.Join(", ", s_names)}");
    }

    public override void Write(Utf8JsonWriter writer, RamCompression value, JsonSerializerOptions options) =>
        writer.WriteStringValue(s_names[(int)value]);
}
