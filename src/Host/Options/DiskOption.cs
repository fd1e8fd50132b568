using Vmm.Emulation.Block;
using Vmm.Emulation.Devices.Virtio.Block;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// A disk image of <c>-drive</c> or <c>-blockdev</c>, with QEMU's names. What QEMU has and Vmm lacks is refused by name.
/// </summary>
public sealed record DiskOption
{
    public const string DriveSyntax =
        "file=F,format=raw|qcow2[,if=virtio|none][,id=NAME][,cache=MODE][,aio=threads][,discard=unmap][,detect-zeroes=on][,snapshot=on]"
        + "[,read-only=on][,rerror=…][,werror=…][,throttling.iops-total=N …]";

    public const string BlockdevSyntax =
        "driver=raw|qcow2,node-name=NAME,file.driver=file,file.filename=F[,read-only=on][,cache.direct=on][,discard=unmap], "
        + "driver=throttle,node-name=NAME,throttle-group=ID,file=NODE, also as JSON";

    private const string Throttling = "throttling.";
    private const string Throttle = "throttle";

    private readonly Dictionary<string, long> _limits = [];
    private string? _nodeName;

    /// <summary>The name that <c>drive=</c> of a device has for it; null for none.</summary>
    public string? Name { get; private init; }

    /// <summary>What monitors call its node; null for a number.</summary>
    public string? NodeName => IsNode ? Name : _nodeName;

    /// <summary>The file of the host.</summary>
    public string? File { get; private init; }

    /// <summary><c>raw</c>, <c>qcow2</c>, or <c>file</c> for a node that is a file; null where it was not said.</summary>
    public string? Format { get; private init; }

    /// <summary>The node under this one, by its name; null where it is a file that is named here.</summary>
    public string? Child { get; private init; }

    /// <summary>The name of the node of its file (<c>file.node-name=</c>); null for any.</summary>
    public string? FileNode { get; private init; }

    /// <summary>Its number among all images that were named.</summary>
    public int Order { get; init; }

    /// <summary>A guest's disk without a <c>-device</c> of its own (<c>if=virtio</c>).</summary>
    public bool HasDevice { get; private init; }

    /// <summary>It is a node of <c>-blockdev</c>.</summary>
    public bool IsNode { get; private init; }

    /// <summary><c>index=</c>: its number among those of its kind; null for the first that is free.</summary>
    public int? Index { get; private init; }

    public bool IsReadOnly { get; private init; }

    /// <summary>Changes last as long as the VM (<c>snapshot=on</c>, <c>-snapshot</c>).</summary>
    public bool IsSnapshot { get; init; }

    public ImageOptions Image { get; private init; } = new();

    /// <summary><c>detect-zeroes=</c>: off, on or unmap.</summary>
    public string DetectZeroes { get; private init; } = "off";

    /// <summary>
    /// The group of limits: of <c>throttling.group=</c>, which its limits are those of; or of a node of the driver <c>throttle</c>, which
    /// has been made before; null for none, or for one of its own.
    /// </summary>
    public string? Group { get; private init; }

    /// <summary>The policies of the device, where it has none of its own.</summary>
    public BlockErrorPolicy? ReadError { get; private init; }

    public BlockErrorPolicy? WriteError { get; private init; }

    /// <summary>Whether a value of <c>-drive</c> is a bank of flash.</summary>
    public static bool IsFlash(string drive) => KeyValues.Parse(drive, null).Any(p => p is ("if", "pflash"));

    /// <summary>Reads <c>-drive</c>.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static DiskOption ParseDrive(string text)
    {
        var disk = new DiskOption { HasDevice = true };
        foreach ((string key, string? value) in KeyValues.Parse(text, null))
        {
            disk = (key, value) switch
            {
                ("if", "virtio") => disk with { HasDevice = true },
                ("if", "none") => disk with { HasDevice = false },
                ("if", _) => throw new OptionException(
                    $"machine type does not support if={UserText.Legible(value ?? "")}: give if=virtio, if=none or if=pflash"),
                ("id", { Length: > 0 }) => disk with { Name = value },
                ("node-name", _) => disk with { _nodeName = NodeNameOf(value) },
                ("format", { Length: > 0 }) => disk with { Format = FormatOf(value) },
                ("index" or "unit", _) => disk with
                {
                    Index = QemuNumber.TryParse(value ?? "", out long index) && index is >= 0 and <= int.MaxValue ? (int)index
                        : throw new OptionException($"Parameter '{key}' expects a number"),
                },
                ("media", "disk") or ("bus", "0") => disk,
                ("media", "cdrom") => disk with { IsReadOnly = true },
                ("readonly" or "read-only", _) => disk with { IsReadOnly = KeyValues.Switch(key, value) },
                ("snapshot", _) => disk with { IsSnapshot = KeyValues.Switch(key, value) },
                ("rerror", _) => disk with { ReadError = PolicyOf(key, value) },
                ("werror", _) => disk with { WriteError = PolicyOf(key, value) },
                (Throttling + "group", { Length: > 0 }) => disk with { Group = value },
                ("cache", _) => disk.With(i => i with { Cache = CacheMode.Parse(value ?? "")
                    ?? throw new OptionException($"invalid cache option: there are {string.Join(", ", CacheMode.Names)}") }),
                _ => disk.WithCommon(key, value, "-drive"),
            };
        }

        return disk.File != null ? disk.Checked() : throw new OptionException("-drive: give file=, the image of the disk");
    }

    /// <summary>Reads <c>-blockdev</c>, which is also the argument of <c>blockdev-add</c>.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static DiskOption ParseNode(string text)
    {
        var disk = new DiskOption { IsNode = true };
        string? driver = null;
        foreach ((string key, string? value) in KeyValues.ParseOrJson(text, "driver"))
        {
            disk = (key, value) switch
            {
                ("driver", _) => disk with { Format = driver = value },
                ("node-name", _) => disk with { Name = NodeNameOf(value) },
                ("file.driver", "file" or "host_device") => disk,
                ("file.driver", _) => throw new OptionException(
                    $"Unknown driver '{UserText.Legible(value ?? "")}': a disk is a file of the host (file.driver=file)"),
                ("filename" or "file.filename", { Length: > 0 }) => disk with { File = value },
                ("file", { Length: > 0 }) => disk with { Child = value },
                ("read-only", _) => disk with { IsReadOnly = KeyValues.Switch(key, value) },
                ("throttle-group", { Length: > 0 }) when driver == Throttle => disk with { Group = value },
                ("file.node-name", { Length: > 0 }) => disk with { FileNode = value },
                ("auto-read-only" or "file.auto-read-only", _) => disk,
                ("file.read-only", _) => disk with { IsReadOnly = KeyValues.Switch(key, value) },
                ("backing", null or "") => disk,
                _ => disk.WithCommon(key.StartsWith("file.", StringComparison.Ordinal) ? key[5..] : key, value, "-blockdev"),
            };
        }

        if (driver is not ("raw" or "qcow2" or "file" or "host_device" or Throttle))
        {
            throw new OptionException(driver == null ? "Parameter 'driver' is missing"
                : $"-blockdev: the driver '{UserText.Legible(driver)}' is not supported; file, raw, qcow2 and throttle are");
        }

        if (driver == Throttle && (disk.Group == null || disk.Child == null))
        {
            throw new OptionException(disk.Group == null ? "Parameter 'throttle-group' is missing"
                : "-blockdev: a node of the driver 'throttle' stands on another node: give file=NODE");
        }

        return disk.Name == null ? throw new OptionException("'node-name' must be specified for the root node")
            : disk.File == null && disk.Child == null ? throw new OptionException("A block device must be specified for \"file\"")
            : disk.Checked();
    }

    /// <summary>A disk of <c>-hda</c> and its like.</summary>
    public static DiskOption OfFile(string file, int index, bool isReadOnly) =>
        new() { File = file, HasDevice = true, Index = index, IsReadOnly = isReadOnly };

    /// <summary>Reads <c>rerror=</c> or <c>werror=</c>.</summary>
    /// <exception cref="OptionException">There is no such policy.</exception>
    public static BlockErrorPolicy? PolicyOf(string key, string? value) => value switch
    {
        "report" => BlockErrorPolicy.Report,
        "ignore" => BlockErrorPolicy.Ignore,
        "stop" => BlockErrorPolicy.Stop,
        "enospc" when key == "werror" => BlockErrorPolicy.StopWithoutSpace,
        "auto" => null,
        _ => throw new OptionException($"'{UserText.Legible(value ?? "")}' invalid {(key == "werror" ? "write" : "read")} error action"),
    };

    /// <summary>
    /// This node over another one: a file, whose options are this one's; or any, which this one limits and is otherwise the same as.
    /// </summary>
    public DiskOption Over(DiskOption file) => Format == Throttle ? file with { Name = Name, Child = Child, Group = Group }
        : file.Format is not ("file" or "host_device")
        ? throw new OptionException($"-blockdev: a node over '{UserText.Legible(file.Name!)}' is not supported; over a file it is")
        : this with
        {
            File = file.File,
            FileNode = file.Name,
            IsReadOnly = IsReadOnly || file.IsReadOnly,
            Image = Image with
            {
                Cache = Image.Cache == CacheMode.Default ? file.Image.Cache : Image.Cache,
                Unmap = Image.Unmap || file.Image.Unmap,
                Locking = Image.Locking && file.Image.Locking,
            },
        };

    /// <summary>What opens it, as the disk of a device.</summary>
    /// <param name="name">Its name for monitors.</param>
    /// <param name="groups">The groups of limits that there are.</param>
    /// <exception cref="OptionException">There is no such group of limits.</exception>
    public BlockBackend Backend(string name, ThrottleGroups groups) => new(IsNode ? "" : name, IsReadOnly, () => Open(this))
    {
        Groups = groups,
        Limits = Group != null && IsNode
            ? groups.Find(Group) ?? throw new OptionException($"Throttle group '{UserText.Legible(Group)}' does not exist")
            : ThrottleLimits.Parse(_limits) is { IsEnabled: true } limits ? groups.Set(Group ?? name, limits)
            : null,
        OpenOverlay = IsSnapshot ? null : path => Open(this with { File = path, Format = "qcow2", FileNode = null }),
        NodeName = NodeName ?? $"#block{Order:d3}",
        Order = Order,
        WriteCache = Image.Cache.WriteBack,
        Cache = Image.Cache,
        DetectZeroes = DetectZeroes,
    };

    /// <summary>Opens it to be looked at: for reading, without locks.</summary>
    /// <param name="name">As for <see cref="Backend"/>.</param>
    /// <exception cref="BlockException">It cannot be opened.</exception>
    public BlockBackend Look(string name, ThrottleGroups groups)
    {
        DiskOption disk = this with { IsSnapshot = false, IsReadOnly = true, Image = Image with { Locking = false } };
        BlockBackend backend = Backend(name, groups);
        var opened = new BlockBackend(backend.Name, IsReadOnly, () => Open(disk))
        {
            NodeName = backend.NodeName, Order = Order, WriteCache = backend.WriteCache, Cache = backend.Cache,
            DetectZeroes = DetectZeroes, Limits = backend.Limits,
        };
        opened.Open();
        return opened;
    }

    // The guest says when its writes are to be on the disk: a cache that it has not is its device's affair.
    private static BlockNode Open(DiskOption disk)
    {
        ImageOptions options = disk.Image with { Cache = disk.Image.Cache with { WriteBack = true } };
        bool writable = !disk.IsReadOnly && !disk.IsSnapshot;
        BlockNode node = BlockImage.Open(disk.File!, disk.Format == "qcow2" ? disk.Format : "raw", writable, options);
        try
        {
            if (disk.Format == null)
            {
                disk.RequireRaw(node);
            }

            if (disk.FileNode != null)
            {
                node.Child!.NodeName = disk.FileNode;
            }

            node = disk.IsSnapshot ? BlockImage.OpenTemporaryOverlay(node, Path.GetTempPath()) : node;
            return disk.DetectZeroes == "off" || disk.IsReadOnly ? node : new DetectZeroesNode(node, disk.DetectZeroes == "unmap");
        }
        catch
        {
            node.Dispose();
            throw;
        }
    }

    // A disk whose format was not said is raw; what looks like another format is not opened, for it may be the guest that made it so.
    private void RequireRaw(BlockNode node)
    {
        Span<byte> head = stackalloc byte[4];
        if (node.Read(0, head) == Errno.None && head.SequenceEqual((ReadOnlySpan<byte>)[(byte)'Q', (byte)'F', (byte)'I', 0xFB]))
        {
            throw new BlockException($"'{File}' looks like a qcow2 image: give its format, as in -drive file={File},format=qcow2");
        }
    }

    private DiskOption WithCommon(string key, string? value, string option)
    {
        switch (key, value)
        {
            case ("file" or "file.filename", { Length: > 0 }):
                return this with { File = value };
            case ("aio", "threads"):
                return this;
            case ("aio", _):
                throw new OptionException($"{option}: aio={UserText.Legible(value ?? "")} is not supported; aio=threads is");
            case ("cache.direct", _):
                return With(i => i with { Cache = i.Cache with { Direct = KeyValues.Switch(key, value) } });
            case ("cache.no-flush", _):
                return With(i => i with { Cache = i.Cache with { NoFlush = KeyValues.Switch(key, value) } });
            case ("cache.writeback", _):
                return With(i => i with { Cache = i.Cache with { WriteBack = KeyValues.Switch(key, value) } });
            case ("discard", "unmap" or "on" or "ignore" or "off"):
                return With(i => i with { Unmap = value is "unmap" or "on" });
            case ("detect-zeroes", "off" or "on" or "unmap"):
                return this with { DetectZeroes = value };
            case ("locking" or "file.locking", "auto" or "on" or "off"):
                return With(i => i with { Locking = value != "off" });
            case ("l2-cache-size", { } size) when QemuNumber.TryParseSize(size, 'B', out long bytes):
                return With(i => i with { L2CacheSize = bytes });
            case ("refcount-cache-size", { } size) when QemuNumber.TryParseSize(size, 'B', out long bytes):
                return With(i => i with { RefcountCacheSize = bytes });
            case ({ } limit, { } number) when limit.StartsWith(Throttling, StringComparison.Ordinal)
                && QemuNumber.TryParse(number, out long units):
                _limits[limit[Throttling.Length..]] = units;
                return this;
            default:
                throw new OptionException(
                    $"{option}: '{UserText.Legible(value == null ? key : $"{key}={value}")}' is not supported");
        }
    }

    private DiskOption With(Func<ImageOptions, ImageOptions> change) => this with { Image = change(Image) };

    private DiskOption Checked()
    {
        try
        {
            ThrottleLimits.Parse(_limits);
            return DetectZeroes == "unmap" && !Image.Unmap
                ? throw new OptionException("setting detect-zeroes to unmap is not allowed without setting discard operation to unmap")
                : this;
        }
        catch (BlockException e)
        {
            throw new OptionException(e.Message);
        }
    }

    private static string NodeNameOf(string? value) => KeyValues.IsIdentifier(value) ? value
        : throw new OptionException($"Invalid node-name: '{UserText.Legible(value ?? "")}'");

    private static string FormatOf(string value) => value is "raw" or "qcow2" ? value
        : throw new OptionException($"'{UserText.Legible(value)}' invalid format: raw and qcow2 are supported");
}
