using Vmm.Emulation.Cpu;
using Vmm.Emulation.Devices;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>The option <c>-global DRIVER.PROPERTY=VALUE</c>: a property of all devices of a type. Only CPUs have properties here.</summary>
public sealed record GlobalOption(string Driver, string Property, string Value)
{
    // QEMU's types of the parts of the machine.
    private static readonly string[] s_types = [.. QomTypeAttribute.All, "fw_cfg", "gpio-key", "virt-machine"];

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

    /// <summary>
    /// Adds a value of the option. For a type that the machine does not have, which may be a typing error, a notice is added instead.
    /// </summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static RunOptions Apply(RunOptions options, string text)
    {
        GlobalOption global = Parse(text);
        return global.Driver == "arm-cpu" || CpuDeviceOption.IsCpu(global.Driver)
            ? options with { Machine = options.Machine with { Globals = [.. options.Machine.Globals, global] } }
            : global is { Driver: "virtio-mmio", Property: "force-legacy" }
            ? !KeyValues.Switch(global.Property, global.Value) ? options
                : throw new OptionException("not supported: force-legacy=on: virtio-mmio is version 2 here, without a legacy form")
            : s_types.Contains(global.Driver)
            ? throw new OptionException($"not supported: '{global.Driver}' is as it is: only CPUs have properties")
            : options with { Notices = [.. options.Notices,
                $"-global {UserText.Legible(text)} makes no difference: there is no such device"] };
    }

    /// <summary>A CPU model with the property, where the option is about it.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public CpuModel ApplyTo(CpuModel model) =>
        Driver == "arm-cpu" || Driver == model.Name + CpuOption.DeviceSuffix ? CpuOption.With(model, [(Property, Value)]) : model;
}
