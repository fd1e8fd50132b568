using System.Globalization;
using System.Text;
using Vmm.Emulation.Net;
using Vmm.Emulation.Net.Tap;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>The properties of <c>-netdev tap</c> and <c>-netdev bridge</c> (QEMU, qapi/net.json).</summary>
internal static class TapNetOption
{
    public const string Tap = "tap";
    public const string Bridge = "bridge";

    // IFNAMSIZ without the end.
    private const int LongestName = 15;

    // What an interface that is handed over has already.
    private static readonly string[] s_ofOwn = ["ifname", "script", "downscript", "vnet_hdr", "helper", "br"];
    private static readonly string[] s_ofOwnWithHelper = ["ifname", "script", "downscript", "vnet_hdr"];

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static Func<Netdev> Parse(string id, string type, IReadOnlyList<(string Key, string Value)> members)
    {
        TapOptions options = new(type)
        {
            Script = type == Tap ? TapOptions.DefaultScript : null,
            DownScript = type == Tap ? TapOptions.DefaultDownScript : null,
            Bridge = TapOptions.DefaultBridge,
        };
        options = members.Aggregate(options, (o, m) => With(o, m.Key, m.Value));
        bool Has(string key) => members.Any(m => m.Key == key);
        if (options.Descriptor != null)
        {
            Forbid("fd=", s_ofOwn.FirstOrDefault(Has));
        }
        else if (options.Helper != null && type == Tap)
        {
            Forbid("helper=", s_ofOwnWithHelper.FirstOrDefault(Has));
        }
        else if (type == Tap && Has("br"))
        {
            throw new OptionException("br= of tap is for helper=; '-netdev bridge,br=' puts an interface into a bridge");
        }

        if (options.Descriptor != null || options.Helper != null)
        {
            options = options with { Script = null, DownScript = null };
        }

        return () => new TapNetdev(id, options);
    }

    private static TapOptions With(TapOptions options, string key, string value) => (options.Type, key) switch
    {
        (_, "br") => options with { Bridge = Name(key, value) },
        (_, "helper") => options with { Helper = value },
        (Tap, "ifname") => options with { InterfaceName = Name(key, value) },
        (Tap, "script") => options with { Script = ScriptOf(value) },
        (Tap, "downscript") => options with { DownScript = ScriptOf(value) },
        (Tap, "fd") => options with { Descriptor = Number(key, value) },
        (Tap, "vnet_hdr") => options with { VirtioHeader = KeyValues.Switch(key, value) },
        (Tap, "sndbuf") => options with { SendBuffer = QemuSize(key, value) },
        (Tap, "vhost" or "vhostforce") when !KeyValues.Switch(key, value) => options,
        _ => throw new OptionException($"not supported: {options.Type} with {UserText.Legible(key)}={UserText.Legible(value)}"),
    };

    private static void Forbid(string with, string? key)
    {
        if (key != null)
        {
            throw new OptionException($"{key}= is invalid with {with}");
        }
    }

    private static string? ScriptOf(string value) => value is "no" or "" ? null : value;

    private static string Name(string key, string value) =>
        value.Length > 0 && Encoding.UTF8.GetByteCount(value) <= LongestName && !value.Any(c => c == '/' || char.IsWhiteSpace(c)) ? value
            : throw new OptionException($"'{UserText.Legible(value)}' of '{key}' is no name of an interface: 1 to {LongestName} characters "
                + "without '/' and spaces");

    private static int Number(string key, string value) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number
            : throw new OptionException($"'{UserText.Legible(value)}' of '{key}' is no number of a descriptor; names are not supported");

    private static int QemuSize(string key, string value) =>
        QemuNumber.TryParse(value, out long size) && size is >= 0 and <= int.MaxValue ? (int)size
            : throw new OptionException($"Parameter '{key}' expects a size from 0 to 2147483647");
}
