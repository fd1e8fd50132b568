using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Timers;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// The option <c>-cpu MODEL[,property=value…]</c>. Pointer authentication, the PMU and SVE can be chosen; any other property is accepted
/// if its value is the one that the model has.
/// </summary>
public static class CpuOption
{
    public const string Syntax = "MODEL[,property=value[,...]]";

    /// <summary>The end of the name of a CPU model as a device: <c>cortex-a57-arm-cpu</c>.</summary>
    public const string DeviceSuffix = "-arm-cpu";

    // That of a model that has it can be chosen.
    private const string Lpa2 = "lpa2";

    // Properties that can be chosen: see CpuProperties.
    private static readonly string[] s_chosen = ["pmu", .. CpuProperties.PointerAuthentication];

    // Properties in QEMU that name a whole feature, with the value that holds here and the reason.
    private static readonly (string Name, bool Value, string Why)[] s_properties =
    [
        ("aarch64", true, "CPUs execute A64"),
        ("sve", false, "the CPU has no SVE"),
        ("sme", false, "CPUs have no SME"),
        (Lpa2, false, "the CPU has no LPA2"),
        ("has_el2", false, "CPUs have no EL2"),
        ("has_el3", false, "CPUs have no EL3"),
        ("cfgend", false, "CPUs start little-endian"),
        ("vfp", true, "CPUs have floating point"),
        ("neon", true, "CPUs have Advanced SIMD"),
        ("reset-hivecs", false, "CPUs start in AArch64 state"),
        ("rme", false, "CPUs have no RME"),
        ("x-rme", false, "CPUs have no RME"),
        ("kvm-steal-time", false, "there is no KVM"),
        ("kvm-no-adjvtime", false, "guest time stands still while the VM is stopped"),
    ];

    // Switches and numbers about the working of a feature that no model has. Any value is accepted.
    private static readonly string[] s_idleSwitches =
    [
        "sme_fa64",
        .. ScalableProperties.Switches.Skip(1),
        .. Enumerable.Range(0, 5).Select(n => $"sme{ScalableProperties.Step << n}"),
    ];

    private static readonly string[] s_idleNumbers =
        [ScalableProperties.Number, "sve-default-vector-length", "sme-default-vector-length", "l0gptsz", "x-l0gptsz"];

    /// <summary>The text of <c>-cpu help</c>.</summary>
    public static string Describe =>
        "Available CPUs:\n" + string.Join('\n', CpuModel.All.Select(m => $"  {m.Name}{(m.Name == "host" ? "  (the fastest: max)" : "")}"));

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static CpuModel Parse(string text)
    {
        IReadOnlyList<(string Key, string? Value)> pairs = KeyValues.Parse(text, "model");
        string name = pairs[0].Value ?? "";
        CpuModel model = (pairs[0].Key == "model" ? CpuModel.Find(name) : null)
            ?? throw new OptionException($"unable to find CPU model '{UserText.Legible(pairs[0].Key == "model" ? name : pairs[0].Key)}'; "
                + $"there are {string.Join(", ", CpuModel.All.Select(m => m.Name))}");
        return With(model, pairs.Skip(1));
    }

    /// <summary>The model with properties: some that can be chosen by themselves, and others that the model has.</summary>
    /// <exception cref="OptionException">The model has no such property, or another value of it.</exception>
    public static CpuModel With(CpuModel model, IEnumerable<(string Key, string? Value)> pairs)
    {
        var chosen = new List<(string Name, bool Value)>();
        var scalable = new ScalableProperties();
        foreach ((string key, string? value) in pairs)
        {
            if (ScalableProperties.CanSet(model, key))
            {
                SetScalable(scalable, key, value);
            }
            else if (CpuModel.Find(model.Name) is { } whole && (s_chosen.Contains(key) || (key == Lpa2 && whole.HasLpa2)))
            {
                chosen.Add((key, KeyValues.Switch(key, value)));
                RequirePointerAuthentication(whole, key, chosen[^1].Value);
            }
            else
            {
                RequireProperty(model, key, value);
            }
        }

        try
        {
            return scalable.Apply(CpuProperties.With(model, chosen));
        }
        catch (ArgumentException e)
        {
            throw new OptionException(e.Message);
        }
    }

    private static void SetScalable(ScalableProperties scalable, string key, string? value)
    {
        if (key != ScalableProperties.Number)
        {
            scalable.Set(key, KeyValues.Switch(key, value));
            return;
        }

        try
        {
            scalable.SetMost(
                QemuNumber.TryParse(value, out long steps) ? steps : throw new OptionException($"Parameter '{key}' expects a number"));
        }
        catch (ArgumentException e)
        {
            throw new OptionException(e.Message);
        }
    }

    /// <exception cref="OptionException">The model has no pointer authentication that could be turned on.</exception>
    private static void RequirePointerAuthentication(CpuModel whole, string key, bool value)
    {
        if (key == "pauth" && value && !whole.Has(Feature.Pauth))
        {
            throw new OptionException("pauth=on is not supported: the CPU has no pointer authentication");
        }
    }

    /// <exception cref="OptionException">The model has no such property, or another value of it.</exception>
    private static void RequireProperty(CpuModel model, string key, string? value)
    {
        if (s_idleSwitches.Contains(key))
        {
            KeyValues.Switch(key, value);
            return;
        }

        if (s_idleNumbers.Contains(key))
        {
            _ = QemuNumber.TryParse(value, out _) ? 0 : throw new OptionException($"Parameter '{key}' expects a number");
            return;
        }

        if (key == "cntfrq")
        {
            _ = QemuNumber.TryParse(value, out long hertz) && hertz == (long)VirtualClock.Frequency ? 0
                : throw new OptionException($"cntfrq is {VirtualClock.Frequency}");
            return;
        }

        (string Name, bool Value, string Why) property = Array.Find(s_properties, p => p.Name == key);
        if (property.Name == null)
        {
            throw new OptionException($"Property '{model.Name}{DeviceSuffix}.{key}' not found");
        }

        if (KeyValues.Switch(key, value) != property.Value)
        {
            throw new OptionException($"{key}={value ?? "on"} is not supported: {property.Why}");
        }
    }
}
