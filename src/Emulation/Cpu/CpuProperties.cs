using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Cpu;

/// <summary>The properties of CPU models that are true or false, with QEMU's names.</summary>
public static class CpuProperties
{
    private const string Pmu = "pmu";
    private const string Pauth = "pauth";
    private const string Lpa2 = "lpa2";

    // Pointer authentication: a property for each algorithm.
    private static readonly (string Name, Feature Feature)[] s_algorithms =
    [
        ("pauth-impdef", Feature.PauthImpdef),
        ("pauth-qarma3", Feature.PauthQarma3),
        ("pauth-qarma5", Feature.PauthQarma5),
    ];

    /// <summary>The names of the properties that choose how pointers are authenticated.</summary>
    public static IEnumerable<string> PointerAuthentication => s_algorithms.Select(a => a.Name).Append(Pauth);

    /// <summary>What <c>query-cpu-model-expansion</c> tells of a model, by name.</summary>
    public static IReadOnlyList<(string Name, bool Value)> Of(CpuModel model) =>
    [
        ("aarch64", true),
        (Pmu, model.Has(Feature.Pmuv3)),
        .. !Whole(model).Has(Feature.Pauth) ? [] :
            s_algorithms.Select(a => (a.Name, model.Has(a.Feature))).Prepend((Pauth, model.Has(Feature.Pauth))),
        .. ScalableProperties.Of(model),
    ];

    /// <summary>
    /// The model with properties that can be chosen; other names say nothing here. As in QEMU an algorithm that is off says nothing.
    /// </summary>
    /// <exception cref="ArgumentException">The properties contradict each other; the message is one line.</exception>
    public static CpuModel With(CpuModel model, IEnumerable<(string Name, bool Value)> properties)
    {
        CpuModel whole = Whole(model);
        bool? pauth = null;
        var chosen = new HashSet<Feature>();
        foreach ((string name, bool value) in properties)
        {
            Feature algorithm = Array.Find(s_algorithms, a => a.Name == name).Feature;
            if (name == Pmu)
            {
                model = model.WithPmuOf(value ? whole : null);
            }
            else if (name == Lpa2)
            {
                model = model with { HasLpa2 = value && whole.HasLpa2 };
            }
            else if (name == Pauth)
            {
                pauth = value;
            }
            else if (algorithm != Feature.None)
            {
                _ = value ? chosen.Add(algorithm) : chosen.Remove(algorithm);
            }
        }

        if (!whole.Has(Feature.Pauth))
        {
            return model;
        }

        if (chosen.Count != 0 && !(pauth ?? model.Has(Feature.Pauth)))
        {
            throw new ArgumentException("cannot enable pauth-impdef, pauth-qarma3 or pauth-qarma5 without pauth");
        }

        return (pauth, chosen.Count) switch
        {
            (_, > 1) => throw new ArgumentException("cannot enable pauth-impdef, pauth-qarma3 and pauth-qarma5 at the same time"),
            (_, 1) => model.WithPointerAuthentication(chosen.Single()),
            (false, _) => model.WithPointerAuthentication(Feature.None),
            (true, _) when !model.Has(Feature.Pauth) => model.WithPointerAuthentication(Feature.PauthImpdef),
            _ => model,
        };
    }

    // The model as its name alone says.
    private static CpuModel Whole(CpuModel model) => CpuModel.Find(model.Name) ?? model;
}
