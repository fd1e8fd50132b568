using Vmm.Emulation.Boards;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// The device with the VM generation ID: <c>-device vmgenid[,guid=auto|UUID]</c>, or the same as a JSON object. A name (<c>id=</c>) is
/// taken, and is of no use.
/// </summary>
public static class GenerationIdOption
{
    public const string Driver = "vmgenid";

    /// <summary>The text of <c>-device vmgenid,help</c>.</summary>
    public const string DescribeProperties =
        $"{Driver} options:\n  guid=<str>              - UUID (aka GUID) or \"auto\" for random value (default: auto)";

    public static bool IsDriver(string text) =>
        KeyValues.ParseOrJson(text, "driver").LastOrDefault(p => p.Key == "driver").Value == Driver;

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static GenerationIdConfig Parse(string text)
    {
        Guid? given = null;
        foreach ((string key, string? value) in KeyValues.ParseOrJson(text, "driver").Where(p => p.Key is not ("driver" or "id")))
        {
            if (key != "guid")
            {
                throw new OptionException($"Property '{Driver}.{UserText.Legible(key)}' not found");
            }

            given = value == "auto" ? null
                : Guid.TryParseExact(value, "D", out Guid guid) ? guid
                : throw new OptionException(
                    $"Property '{Driver}.guid' doesn't take value '{UserText.Legible(value ?? "")}': give a UUID or auto");
        }

        return new GenerationIdConfig(given);
    }
}
