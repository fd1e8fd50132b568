using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>The option <c>-mon chardev=ID[,mode=readline|control][,pretty=on]</c>: a monitor at a character device.</summary>
/// <param name="Control">True: QMP. False: a monitor for people.</param>
/// <param name="Pretty">Whether QMP answers over several lines.</param>
public sealed record MonitorOption(string Chardev, bool Control, bool Pretty)
{
    public const string Syntax = "[chardev=]ID[,mode=readline|control][,pretty=on|off]";

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static MonitorOption Parse(string text)
    {
        string? chardev = null;
        string mode = "readline";
        bool? pretty = null;
        foreach ((string key, string? value) in KeyValues.Parse(text, "chardev"))
        {
            switch (key)
            {
                case "chardev":
                    chardev = value;
                    break;
                case "mode":
                    mode = value is "readline" or "control" ? value : throw new OptionException($"unknown monitor mode \"{value}\"");
                    break;
                case "pretty":
                    pretty = KeyValues.Switch(key, value);
                    break;
                case "id":
                    // The id of the monitor. Nothing refers to it.
                    break;
                default:
                    throw new OptionException($"Invalid parameter '{UserText.Legible(key)}'");
            }
        }

        if (pretty != null && mode == "readline")
        {
            throw new OptionException("'pretty' is not compatible with HMP monitors");
        }

        return new MonitorOption(chardev ?? throw new OptionException("Parameter 'chardev' is missing"), mode == "control", pretty == true);
    }
}

/// <summary>A monitor and its character device.</summary>
/// <param name="Control">True: QMP. False: a monitor for people.</param>
/// <param name="Pretty">Whether QMP answers over several lines.</param>
public sealed record MonitorTarget(CharacterDeviceOption Device, bool Control, bool Pretty)
{
    public static MonitorTarget Of(MonitorOption monitor) =>
        new(new CharacterDeviceOption(CharacterDeviceKind.Reference, monitor.Chardev), monitor.Control, monitor.Pretty);
}
