using System.Globalization;
using System.IO.Enumeration;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// An object that says who may connect: <c>authz-simple</c> names one, <c>authz-list</c> has rules, of which the first that matches decides
/// (QEMU, docs/system/authz). The parameter <c>tls-authz</c> of migrations names it.
/// </summary>
/// <param name="AllowsOthers">Whether those may whom no rule matches.</param>
public sealed record AuthzOption(IReadOnlyList<AuthzRule> Rules, bool AllowsOthers)
{
    public const string SimpleType = "authz-simple", ListType = "authz-list";

    private const string RulesPrefix = "rules.";

    /// <summary>Whether somebody may connect.</summary>
    /// <param name="identity">The distinguished name of a certificate, such as CN=node1.</param>
    public bool Allows(string identity) => Rules.FirstOrDefault(rule => rule.Matches(identity))?.Allows ?? AllowsOthers;

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    internal static AuthzOption ParseSimple(IReadOnlyList<(string Key, string? Value)> pairs)
    {
        string? identity = null;
        foreach ((string key, string? value) in Properties(pairs))
        {
            identity = key == "identity" ? value : throw NotFound(SimpleType, key);
        }

        return identity == null ? throw new OptionException("Parameter 'identity' is missing")
            : new AuthzOption([new AuthzRule(identity, IsGlob: false, Allows: true)], AllowsOthers: false);
    }

    /// <inheritdoc cref="ParseSimple"/>
    internal static AuthzOption ParseList(IReadOnlyList<(string Key, string? Value)> pairs)
    {
        bool allowsOthers = false;
        var rules = new SortedDictionary<int, Dictionary<string, string>>();
        foreach ((string key, string? value) in Properties(pairs))
        {
            if (key == "policy")
            {
                allowsOthers = Policy(value);
                continue;
            }

            string[] parts = key.StartsWith(RulesPrefix, StringComparison.Ordinal) ? key.Split('.') : [];
            if (parts is not [_, var index, "match" or "policy" or "format"]
                || !int.TryParse(index, NumberStyles.None, CultureInfo.InvariantCulture, out int number))
            {
                throw NotFound(ListType, key);
            }

            rules.TryAdd(number, []);
            rules[number][parts[2]] = value ?? "";
        }

        return new AuthzOption([.. rules.Select(r => Rule(r.Key, r.Value))], allowsOthers);
    }

    private static AuthzRule Rule(int number, Dictionary<string, string> members)
    {
        string Member(string name) => members.TryGetValue(name, out string? value) ? value
            : throw new OptionException($"Parameter '{RulesPrefix}{number}.{name}' is missing");
        return new AuthzRule(Member("match"), members.GetValueOrDefault("format", "exact") switch
        {
            "exact" => false,
            "glob" => true,
            string other => throw new OptionException($"Parameter 'format' does not accept value '{UserText.Legible(other)}'"),
        }, Policy(Member("policy")));
    }

    private static bool Policy(string? value) => value is "allow" or "deny" ? value == "allow"
        : throw new OptionException($"Parameter 'policy' does not accept value '{UserText.Legible(value ?? "")}'");

    private static IEnumerable<(string Key, string? Value)> Properties(IReadOnlyList<(string Key, string? Value)> pairs) =>
        pairs.Where(p => p.Key is not ("qom-type" or "id"));

    private static OptionException NotFound(string type, string key) => new($"Property '{type}.{UserText.Legible(key)}' not found");
}

/// <summary>A rule of <see cref="AuthzOption"/>.</summary>
/// <param name="IsGlob">In <paramref name="Match"/> a * is any text and a ? any character; else it is the whole identity.</param>
public sealed record AuthzRule(string Match, bool IsGlob, bool Allows)
{
    public bool Matches(string identity) => IsGlob
        ? FileSystemName.MatchesSimpleExpression(Match.Replace("\\", "\\\\", StringComparison.Ordinal), identity, ignoreCase: false)
        : identity == Match;
}
