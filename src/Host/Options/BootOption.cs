using Vmm.Emulation.Boards;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// What firmware is told about its boot: <c>-boot [order=]DRIVES[,menu=on|off][,splash-time=MS][,reboot-timeout=MS][,strict=on|off]</c>.
/// The letters of drives are of PCs: as with QEMU's <c>virt</c> nothing reads them, and <c>bootindex=</c> says what is booted.
/// </summary>
internal static class BootOption
{
    public const string Syntax = "[order=]DRIVES[,once=DRIVES][,menu=on|off][,splash-time=MS][,reboot-timeout=MS][,strict=on|off]";

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static BootChoice Add(BootChoice choice, string text)
    {
        foreach ((string key, string? value) in KeyValues.ParseOrJson(text, "order"))
        {
            choice = key switch
            {
                "order" or "once" => CheckDrives(value ?? "") ? choice : throw new OptionException(
                    $"Invalid boot device for '{UserText.Legible(value ?? "")}': letters from a to p, each once"),
                "menu" => choice with { Menu = KeyValues.Switch(key, value) },
                "strict" => choice with { Strict = KeyValues.Switch(key, value) },
                "splash-time" => choice with { SplashTime = (ushort)Number(value, 0, key) },
                "reboot-timeout" => choice with { RebootTimeout = Number(value, -1, key) },
                "splash" => throw new OptionException("not supported: splash: there is no display"),
                _ => throw new OptionException($"Invalid parameter '{UserText.Legible(key)}'"),
            };
        }

        return choice;
    }

    private static bool CheckDrives(string letters) =>
        letters.All(c => c is >= 'a' and <= 'p') && letters.Distinct().Count() == letters.Length;

    private static int Number(string? value, int least, string key) =>
        QemuNumber.TryParse(value ?? "", out long number) && number >= least && number <= ushort.MaxValue ? (int)number
            : throw new OptionException($"{key} is invalid, it should be a value between {least} and {ushort.MaxValue}");
}
