using Vmm.Emulation.Cpu.Timers;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// The option <c>-icount [shift=]N,sleep=off</c>: guest time follows the number of instructions, so that a run can be repeated exactly.
/// </summary>
public static class IcountOption
{
    public const string Syntax = "[shift=]N,sleep=off[,align=off]";

    /// <summary>Parses N: an instruction takes 2^N ns.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static int Parse(string text)
    {
        int? shift = null;
        bool sleeps = true;
        foreach ((string key, string? value) in KeyValues.Parse(text, "shift"))
        {
            switch (key, value)
            {
                case ("shift", "auto"):
                    throw new OptionException("shift=auto is not supported: give a number, such as shift=4");
                case ("shift", _):
                    shift = QemuNumber.TryParse(value ?? "", out long number) && number is >= 0 and <= InstructionClock.MaxShift
                        ? (int)number
                        : throw new OptionException($"shift must be between 0 and {InstructionClock.MaxShift}");
                    break;
                case ("sleep", "off"):
                    sleeps = false;
                    break;
                case ("align", "off"):
                    break;
                case ("sleep" or "align", "on"):
                    if (key == "align")
                    {
                        throw new OptionException("align=on is not supported: guest time does not wait for the host's");
                    }

                    break;
                case ("sleep" or "align", _):
                    throw new OptionException($"{key} is on or off");
                case ("rr" or "rrfile" or "rrsnapshot", _):
                    throw new OptionException($"{key} is not supported: nothing is recorded");
                default:
                    throw new OptionException($"Invalid parameter '{key}'");
            }
        }

        return sleeps ? throw new OptionException("give sleep=off: while the guest is idle, time goes on at once to its next timer")
            : shift ?? throw new OptionException("give shift=N: an instruction takes 2^N ns");
    }
}
