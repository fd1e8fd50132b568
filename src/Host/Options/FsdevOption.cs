using Vmm.Emulation.Devices.Virtio.NineP;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// A folder of the host that guests may share: <c>-fsdev local,id=NAME,path=FOLDER,security_model=MODEL[,readonly=on]</c>, and
/// <c>-virtfs</c>, which adds the device that has it.
/// </summary>
public sealed record FsdevOption
{
    public const string FsdevSyntax = "local,id=NAME,path=FOLDER,security_model=none|passthrough|mapped-xattr[,readonly=on]";

    public const string VirtfsSyntax =
        "local,path=FOLDER,mount_tag=TAG,security_model=none|passthrough|mapped-xattr[,id=NAME][,readonly=on]";

    private const string Tag = "mount_tag";

    private const string Models = "Valid options are: security_model=[passthrough|mapped-xattr|none]";

    /// <summary>The name by which a device has it.</summary>
    public required string Id { get; init; }

    public required string Path { get; init; }

    /// <summary>Whose files are.</summary>
    public required FolderSecurity Security { get; init; }

    /// <summary>Permissions on the host of new files of a mapped folder; null for those that it has.</summary>
    public uint? FileMode { get; init; }

    /// <summary>Permissions on the host of new folders of a mapped folder; null for those that it has.</summary>
    public uint? FolderMode { get; init; }

    public bool IsReadOnly { get; init; }

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static FsdevOption Parse(string text) => Parse(KeyValues.Parse(text, "fsdriver"));

    /// <summary>The folder and the device of <c>-virtfs</c>.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static (FsdevOption Folder, string Device) ParseVirtfs(string text)
    {
        IReadOnlyList<(string Key, string? Value)> pairs = KeyValues.Parse(text, "fsdriver");
        string tag = pairs.LastOrDefault(p => p.Key == Tag).Value
            ?? throw new OptionException(
                "Usage: -virtfs fsdriver,path=/share_path/,security_model=[none|passthrough|mapped-xattr],mount_tag=tag");

        // QEMU names a folder without a name by its tag.
        FsdevOption folder = Parse([("id", tag), .. pairs.Where(p => p.Key != Tag)]);
        return (folder, $"{VirtioDeviceOption.SharedFolder}-pci,fsdev={Escape(folder.Id)},{Tag}={Escape(tag)}");
    }

    /// <summary>Opens the folder.</summary>
    /// <exception cref="OptionException">It cannot be.</exception>
    public SharedFolder Open()
    {
        SharedFolder folder = VirtioNinePConfig.TryOpen(Path, IsReadOnly, Security, out string error)
            ?? throw new OptionException($"-fsdev: cannot open the folder '{UserText.Legible(Path)}': {error}");
        return folder with { FileMode = FileMode ?? folder.FileMode, FolderMode = FolderMode ?? folder.FolderMode };
    }

    private static FsdevOption Parse(IReadOnlyList<(string Key, string? Value)> pairs)
    {
        string? id = null;
        string? path = null;
        FolderSecurity? security = null;
        uint? fileMode = null;
        uint? folderMode = null;
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
                    security = value switch
                    {
                        "none" => FolderSecurity.None,
                        "passthrough" => FolderSecurity.Passthrough,
                        "mapped" or "mapped-xattr" => FolderSecurity.MappedXattr,
                        "mapped-file" => throw new OptionException(
                            "not supported: security_model=mapped-file; there are none, passthrough and mapped-xattr"),
                        _ => throw new OptionException($"invalid security_model property '{UserText.Legible(value ?? "")}'; {Models}"),
                    };
                    break;
                case "fmode":
                    fileMode = ModeOf(key, value);
                    break;
                case "dmode":
                    folderMode = ModeOf(key, value);
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

        if (security is not FolderSecurity.MappedXattr && (fileMode ?? folderMode) != null)
        {
            throw new OptionException($"{(fileMode != null ? "fmode" : "dmode")} is only valid for mapped security modes");
        }

        return new FsdevOption
        {
            Id = id ?? throw new OptionException("Parameter 'id' is missing"),
            Path = path ?? throw new OptionException("no path specified"),
            Security = security ?? throw new OptionException($"security_model property not set; {Models}"),
            FileMode = fileMode,
            FolderMode = folderMode,
            IsReadOnly = isReadOnly,
        };
    }

    private static uint ModeOf(string key, string? value)
    {
        const uint Most = 0x1FF;
        uint mode = 0;
        foreach (char c in value is { Length: > 0 } ? value : "?")
        {
            mode = c is >= '0' and <= '7' ? (mode * 8) + c - '0' : Most + 1;
            if (mode > Most)
            {
                throw new OptionException($"{key}: '{UserText.Legible(value ?? "")}' is no mode in octal, such as 0600");
            }
        }

        return mode;
    }

    private static string Escape(string text) => text.Replace(",", ",,", StringComparison.Ordinal);
}
