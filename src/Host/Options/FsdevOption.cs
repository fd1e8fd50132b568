using Vmm.Emulation.Devices.Virtio.NineP;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// A folder of the host that guests may share: <c>-fsdev local,id=NAME,path=FOLDER,security_model=none|passthrough[,readonly=on]</c>, and
/// <c>-virtfs</c>, which adds the device that has it.
/// </summary>
public sealed record FsdevOption
{
    public const string FsdevSyntax = "local,id=NAME,path=FOLDER,security_model=none|passthrough[,readonly=on]";

    public const string VirtfsSyntax = "local,path=FOLDER,mount_tag=TAG,security_model=none|passthrough[,id=NAME][,readonly=on]";

    private const string Tag = "mount_tag";

    /// <summary>The name by which a device has it.</summary>
    public required string Id { get; init; }

    public required string Path { get; init; }

    /// <summary>Whether files are to belong to the guest's users (<c>passthrough</c>), or may stay the user's of this program.</summary>
    public required bool MustOwn { get; init; }

    public bool IsReadOnly { get; init; }

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static FsdevOption Parse(string text) => Parse(KeyValues.Parse(text, "fsdriver"));

    /// <summary>The folder and the device of <c>-virtfs</c>.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static (FsdevOption Folder, string Device) ParseVirtfs(string text)
    {
        IReadOnlyList<(string Key, string? Value)> pairs = KeyValues.Parse(text, "fsdriver");
        string tag = pairs.LastOrDefault(p => p.Key == Tag).Value
            ?? throw new OptionException("Usage: -virtfs fsdriver,path=/share_path/,security_model=[none|passthrough],mount_tag=tag");

        // QEMU names a folder without a name by its tag.
        FsdevOption folder = Parse([("id", tag), .. pairs.Where(p => p.Key != Tag)]);
        return (folder, $"{VirtioDeviceOption.SharedFolder}-pci,fsdev={Escape(folder.Id)},{Tag}={Escape(tag)}");
    }

    /// <summary>Opens the folder.</summary>
    /// <exception cref="OptionException">It cannot be.</exception>
    public SharedFolder Open() => VirtioNinePConfig.TryOpen(Path, IsReadOnly, MustOwn, out string error)
        ?? throw new OptionException($"-fsdev: cannot open the folder '{UserText.Legible(Path)}': {error}");

    private static FsdevOption Parse(IReadOnlyList<(string Key, string? Value)> pairs)
    {
        string? id = null;
        string? path = null;
        bool? mustOwn = null;
        bool isReadOnly = false;
        foreach ((string key, string? value) in pairs)
        {
            switch (key)
            {
                case "fsdriver":
                    _ = value is "local" or "path" ? value : throw new OptionException(
                        $"not supported: the file system driver '{UserText.Legible(value ?? "")}'; there is local");
                    break;
                case "id":
                    id = value;
                    break;
                case "path":
                    path = value;
                    break;
                case "security_model":
                    mustOwn = value switch
                    {
                        "none" => false,
                        "passthrough" => true,
                        "mapped" or "mapped-xattr" or "mapped-file" => throw new OptionException(
                            $"not supported: security_model={value}; there are none and passthrough"),
                        _ => throw new OptionException($"Invalid security model {UserText.Legible(value ?? "")} specified, "
                            + "valid options are: [none|passthrough]"),
                    };
                    break;
                case "readonly":
                    isReadOnly = KeyValues.Switch(key, value);
                    break;
                case "multidevs" when value is "warn" or "remap":
                case "writeout" when value is null:
                    break;
                default:
                    throw new OptionException($"not supported: {UserText.Legible(key)}={UserText.Legible(value ?? "")}");
            }
        }

        return new FsdevOption
        {
            Id = id ?? throw new OptionException("Parameter 'id' is missing"),
            Path = path ?? throw new OptionException("no path specified"),
            MustOwn = mustOwn ?? throw new OptionException(
                "Security model not specified, local fs needs security model: [none|passthrough]"),
            IsReadOnly = isReadOnly,
        };
    }

    private static string Escape(string text) => text.Replace(",", ",,", StringComparison.Ordinal);
}
