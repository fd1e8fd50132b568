using Vmm.Emulation.Block;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// The option <c>-object TYPE,id=ID[,property=value…]</c>, or the same as a JSON object. Disks name a throttle-group. <c>-machine
/// memory-backend=ID</c> can name a memory backend, which describes the RAM that the machine has anyway. The parameter <c>tls-creds</c>
/// of migrations names TLS credentials, and <c>tls-authz</c> an object that says who may connect. Nothing refers to the other types.
/// </summary>
/// <param name="Bytes">The size of a memory backend; 0 for an object of another type.</param>
public sealed record ObjectOption(string Id, ulong Bytes)
{
    public const string Syntax = "memory-backend-ram,id=ID,size=SIZE, "
        + "tls-creds-x509,id=ID,dir=FOLDER[,endpoint=client|server][,verify-peer=on|off], "
        + "tls-creds-psk,id=ID,dir=FOLDER[,endpoint=client|server][,username=NAME], "
        + "authz-simple,id=ID,identity=NAME, "
        + "authz-list,id=ID[,policy=allow|deny],rules.0.match=NAME,rules.0.policy=allow|deny[,rules.0.format=exact|glob …], "
        + "filter-dump,id=ID,netdev=ID,file=FILE[,maxlen=BYTES], or secret, iothread, rng-random, rng-builtin, "
        + "thread-context, each with id=ID, or throttle-group,id=ID[,limits.iops-total=N …]";

    private const string Ram = "memory-backend-ram";
    private const string ThrottleGroup = "throttle-group";
    private const string SharedRam = "memory-backend-memfd";

    private static readonly string[] s_types =
    [
        Ram, SharedRam, FilterDumpOption.Type, TlsX509Option.Type, TlsPskOption.Type,
        AuthzOption.SimpleType, AuthzOption.ListType,
        "secret", "iothread", "rng-random", "rng-builtin", ThrottleGroup, "thread-context",
    ];

    // QEMU's other types. They act by themselves, or keep RAM in another place, and are refused.
    private static readonly string[] s_refused =
    [
        "acpi-generic-initiator", "acpi-generic-port", "authz-list-file", "authz-pam", "can-bus",
        "can-host-socketcan", "colo-compare",
        "cryptodev-backend", "cryptodev-backend-builtin", "cryptodev-backend-lkcf", "cryptodev-vhost-user", "dbus-vmstate", "filter-buffer",
        "filter-mirror",
        "filter-redirector", "filter-replay", "filter-rewriter", "input-barrier", "input-linux", "iommufd", "main-loop",
        "memory-backend-epc", "memory-backend-file",
        "memory-backend-shm", "pef-guest", "pr-manager-helper", "qtest", "rng-egd", "s390-pv-guest", "secret_keyring", "sev-guest",
        "sev-snp-guest", "tdx-guest",
        "tls-cipher-suites", "tls-creds-anon", "x-remote-object", "x-vfio-user-server", "arm-rme-guest",
    ];

    /// <summary>The TLS credentials; null for an object of another type.</summary>
    public TlsCredentialsOption? Tls { get; init; }

    /// <summary>Who may connect; null for an object of another type.</summary>
    public AuthzOption? Authz { get; init; }

    /// <summary>A file of the frames of a link; null for an object of another type.</summary>
    public FilterDumpOption? Dump { get; init; }

    /// <summary>The limits of a group of disks; null for an object of another type.</summary>
    public ThrottleLimits? Limits { get; init; }

    /// <summary>The text of <c>-object help</c>.</summary>
    public static string Describe =>
        "List of user creatable objects:\n" + string.Join('\n', s_types.Order(StringComparer.Ordinal).Select(t => $"  {t}"));

    /// <summary>What is said of an object whose id another one has.</summary>
    public static OptionException Duplicate(string id) =>
        new($"attempt to add duplicate property '{UserText.Legible(id)}' to object (type 'container')");

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static ObjectOption Parse(string text)
    {
        IReadOnlyList<(string Key, string? Value)> pairs = KeyValues.ParseOrJson(text, "qom-type");
        string? ValueOf(string key) => pairs.LastOrDefault(p => p.Key == key).Value;
        string type = ValueOf("qom-type") ?? throw new OptionException("Parameter 'qom-type' is missing");
        if (!s_types.Contains(type))
        {
            throw new OptionException(s_refused.Contains(type)
                ? $"not supported: an object of type '{type}'; there are {Syntax}"
                : $"Parameter 'qom-type' does not accept value '{UserText.Legible(type)}'");
        }

        string id = KeyValues.Identifier("id", ValueOf("id") ?? throw new OptionException("Parameter 'id' is missing"));
        if (type is TlsX509Option.Type or TlsPskOption.Type)
        {
            return new ObjectOption(id, 0) { Tls = type == TlsPskOption.Type ? TlsPskOption.Parse(pairs) : TlsX509Option.Parse(pairs) };
        }

        if (type is AuthzOption.SimpleType or AuthzOption.ListType)
        {
            return new ObjectOption(id, 0)
            {
                Authz = type == AuthzOption.ListType ? AuthzOption.ParseList(pairs) : AuthzOption.ParseSimple(pairs),
            };
        }

        if (type == FilterDumpOption.Type)
        {
            return new ObjectOption(id, 0) { Dump = FilterDumpOption.Parse(pairs) };
        }

        if (type == ThrottleGroup)
        {
            return new ObjectOption(id, 0) { Limits = LimitsOf(pairs) };
        }

        if (type is not (Ram or SharedRam))
        {
            return new ObjectOption(id, 0);
        }

        if (ValueOf("prealloc") is { } preallocated && KeyValues.Switch("prealloc", preallocated))
        {
            throw new OptionException("not supported: prealloc=on: RAM is taken from the host as it is used");
        }

        return new ObjectOption(id, ParseSize(ValueOf("size") ?? throw new OptionException("Parameter 'size' is missing")));
    }

    // A limit is a member of limits= (QEMU, qapi/qom.json, ThrottleGroupProperties), or has x- before its name, as of old.
    private static ThrottleLimits LimitsOf(IReadOnlyList<(string Key, string? Value)> pairs)
    {
        var limits = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach ((string key, string? value) in pairs.Where(p => p.Key is not ("qom-type" or "id")))
        {
            string? name = key.StartsWith("limits.", StringComparison.Ordinal) ? key["limits.".Length..]
                : key.StartsWith("x-", StringComparison.Ordinal) ? key["x-".Length..] : null;
            limits[name ?? throw new OptionException($"Property '{ThrottleGroup}.{UserText.Legible(key)}' not found")] =
                QemuNumber.TryParse(value ?? "", out long units) ? units : throw new OptionException($"Parameter '{key}' expects a number");
        }

        try
        {
            return ThrottleLimits.Parse(limits);
        }
        catch (BlockException e)
        {
            throw new OptionException(e.Message);
        }
    }

    // A number without a suffix counts bytes, unlike the value of -m.
    private static ulong ParseSize(string text) => QemuNumber.TryParseSize(text, 'B', out long value) && value > 0
        ? (ulong)value
        : throw new OptionException($"Parameter 'size' expects a size, not '{UserText.Legible(text)}'");
}
