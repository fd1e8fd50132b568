using Vmm.Emulation.Cpu;

namespace Vmm.Host.Options;

/// <summary><c>-global DRIVER.PROPERTY=VALUE</c>: a property of every device of a kind. CPUs are the kind that has some.</summary>
public sealed record GlobalOption(string Driver, string Property, string Value)
{
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static GlobalOption Parse(string text)
    {
        IReadOnlyList<(string Key, string? Value)> pairs = KeyValues.Parse(text, null);
        if (pairs is [("driver", string driver), ("property", string property), ("value", string value)])
        {
            return new GlobalOption(driver, property, value);
        }

        int dot = pairs[0].Key.IndexOf('.', StringComparison.Ordinal);
        return pairs.Count == 1 && dot > 0 && pairs[0].Value is { } given
            ? new GlobalOption(pairs[0].Key[..dot], pairs[0].Key[(dot + 1)..], given)
            : throw new OptionException("give DRIVER.PROPERTY=VALUE");
    }

    /// <summary>Checks that it says what is so, of the CPUs of the machine.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public void RequireOf(CpuModel model)
    {
        if (Driver == "arm-cpu" || Driver == model.Name + CpuOption.DeviceSuffix)
        {
            CpuOption.RequireProperty(model, Property, Value);
        }
        else if (!CpuDeviceOption.IsCpu(Driver))
        {
            throw new OptionException($"global {CommandLine.Legible(Driver)}.{CommandLine.Legible(Property)} is not supported: only CPUs have properties");
        }
    }
}
