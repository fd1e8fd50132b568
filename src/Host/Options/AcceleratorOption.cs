using System.Globalization;
using Vmm.Emulation.Machine;

namespace Vmm.Host.Options;

/// <summary><c>--accel</c>, checked.</summary>
public sealed record AcceleratorOption(Accelerator Accelerator)
{
    public const string Syntax =
        "engine: jit[,tb-size=MiB][,stats=on][,perfmap=on][,dual=on], interp, or lockstep, which runs both and stops where they differ (the fastest that this host can). tb-size: room for translated code. stats: print info jit at the end. "
        + "perfmap: name translated code for Linux's perf in /tmp/perf-PID.map, as guest:ADDRESS+INSTRUCTIONS; with DOTNET_PerfMapEnabled=1 "
        + "DOTNET_EnableWriteXorExecute=0 the .NET runtime adds names of its own (not with dual=on). dual: map translated code twice, as is done where the host refuses memory that is both written and executed";

    private const long LargestTranslationMebibytes = 1024;

    /// <summary>Room for translated code, in bytes.</summary>
    public long TranslationBytes { get; private init; } = Accelerators.DefaultTranslationBytes;

    /// <summary>Print what <c>info jit</c> prints when the run ends.</summary>
    public bool Statistics { get; private init; }

    /// <summary>Name translated code in /tmp/perf-PID.map.</summary>
    public bool PerfMap { get; private init; }

    /// <summary>Map translated code twice, whether the host needs it or not.</summary>
    public bool DualMapping { get; private init; }

    /// <param name="text">As <see cref="Syntax"/> has it; null for the fastest engine that the host can.</param>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static AcceleratorOption Parse(string? text)
    {
        string[] parts = (text ?? (Accelerators.CanTranslate ? "jit" : "interp")).Split(',');
        var option = new AcceleratorOption(parts[0] switch
        {
            "interp" => Accelerator.Interpreter,
            "jit" when Accelerators.CanTranslate => Accelerator.Jit,
            "lockstep" when Accelerators.CanTranslate => Accelerator.Lockstep,
            "jit" or "lockstep" => throw new OptionException("this host cannot run translated code (it takes x86-64 with BMI2, LZCNT and SSE4.2, and memory that may be written and executed): use --accel interp"),
            _ => throw new OptionException($"unsupported accelerator '{parts[0]}'; there are jit, interp and lockstep"),
        });
        foreach (string part in parts.Skip(1))
        {
            string[] pair = part.Split('=', 2);
            string value = pair.Length == 2 ? pair[1] : "";
            option = (option.Accelerator, pair[0]) switch
            {
                (Accelerator.Jit or Accelerator.Lockstep, "tb-size") => option with { TranslationBytes = ParseSize(value) },
                (Accelerator.Jit or Accelerator.Lockstep, "stats") => option with { Statistics = ParseSwitch(pair[0], value) },
                (Accelerator.Jit, "perfmap") => option with { PerfMap = ParseSwitch(pair[0], value) },
                (Accelerator.Jit, "dual") => option with { DualMapping = ParseSwitch(pair[0], value) },
                _ => throw new OptionException($"accelerator {parts[0]} has no property '{pair[0]}'"),
            };
        }

        return option;
    }

    private static long ParseSize(string value)
    {
        long smallest = Accelerators.SmallestTranslationBytes >> 20;
        return long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out long mebibytes) && mebibytes >= smallest && mebibytes <= LargestTranslationMebibytes
            ? mebibytes << 20
            : throw new OptionException($"tb-size is a number of MiB from {smallest} to {LargestTranslationMebibytes}, not '{value}'");
    }

    private static bool ParseSwitch(string name, string value) => value switch
    {
        "on" => true,
        "off" => false,
        _ => throw new OptionException($"{name} is on or off, not '{value}'"),
    };
}
