using System.Reflection;

namespace Vmm.Emulation.Devices;

/// <summary>
/// The type that a device has in QEMU's object model (QOM), derived from <c>sys-bus-device</c>. A device without the attribute is no object
/// there.
/// </summary>
/// <param name="name">The name of the type, such as <c>pl011</c>.</param>
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class QomTypeAttribute(string name) : Attribute
{
    public string Name { get; } = name;

    /// <summary>The names of the types of all devices that a board can list, in alphabetical order.</summary>
    public static IReadOnlyList<string> All { get; } =
    [
        .. typeof(IDevice).Assembly.GetTypes().Where(t => t.IsAssignableTo(typeof(IDevice)))
            .Select(t => t.GetCustomAttribute<QomTypeAttribute>()?.Name).OfType<string>().Order(StringComparer.Ordinal),
    ];

    /// <summary>The name of a device's type; null for a device that is no object.</summary>
    public static string? Of(IDevice device) => device.GetType().GetCustomAttribute<QomTypeAttribute>()?.Name;
}
