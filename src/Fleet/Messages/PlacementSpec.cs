namespace Vmm.Fleet.Messages;

/// <summary>Where a VM may be.</summary>
/// <param name="Labels">What its node has: each is a key, <c>=</c> and a value.</param>
/// <param name="Group">VMs of one group are never placed at the same node; empty for none.</param>
public sealed record PlacementSpec(string[] Labels, string Group)
{
    /// <summary>What <see cref="IsLabel"/> asks for, for people.</summary>
    public const string LabelRule = "KEY=VALUE";

    /// <summary>Whether it is a key, <c>=</c> and a value, neither of them empty.</summary>
    public static bool IsLabel(string label) => label.IndexOf('=', StringComparison.Ordinal) is > 0 and int at && at < label.Length - 1;

    /// <summary>Why no VM can be so: one line; null if one can be.</summary>
    public string? FindProblem() =>
        Array.Exists(Labels, label => label == null) ? "placement: a label is null"
        : Array.Find(Labels, label => !IsLabel(label)) is { } wrong ? $"placement: the label '{wrong}' is not {LabelRule}"
        : Labels.Select(KeyOf).Distinct(StringComparer.Ordinal).Count() < Labels.Length ? "placement: two labels have one key"
        : null;

    /// <summary>Labels by their keys; of two with one key the last.</summary>
    public static IReadOnlyDictionary<string, string> ByKey(IEnumerable<string> labels)
    {
        var byKey = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string label in labels)
        {
            byKey[KeyOf(label)] = label[(KeyOf(label).Length + 1)..];
        }

        return byKey;
    }

    private static string KeyOf(string label) => label[..label.IndexOf('=', StringComparison.Ordinal)];
}
