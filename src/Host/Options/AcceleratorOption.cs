using Vmm.Emulation.Boards;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>The value of <c>--accel</c>, checked.</summary>
public sealed record AcceleratorOption(Accelerator Accelerator)
{
    public const string Syntax = "ENGINE[:ENGINE...][,property=value[,...]]";

    public const string Help =
        "engine, the first that this host can: jit[,tb-size=MiB][,stats=on][,perfmap=on][,dual=on], interp, or lockstep, which runs both "
            + "and stops where they differ (the fastest that this host can). "
        + "tb-size: room for translated code. stats: print info jit at the end. "
        + "perfmap: name translated code for Linux's perf in /tmp/perf-PID.map, as guest:ADDRESS+INSTRUCTIONS; with "
        + "DOTNET_PerfMapEnabled=1 "
        + "DOTNET_EnableWriteXorExecute=0 the .NET runtime adds names of its own (not with dual=on). dual: map translated code twice, as "
        + "is done where the host refuses memory that is both written and executed. "
        + "tcg is QEMU's name of the fastest; kvm there is none of, so that kvm:jit is jit";

    private const long LargestTranslationMebibytes = 1024;

    /// <summary>The room for translated code in bytes.</summary>
    public long TranslationBytes { get; private init; } = Accelerators.DefaultTranslationBytes;

    /// <summary>Whether the text of <c>info jit</c> is printed when the run ends.</summary>
    public bool Statistics { get; private init; }

    /// <summary>Whether translated code is named in /tmp/perf-PID.map.</summary>
    public bool PerfMap { get; private init; }

    /// <summary>Whether translated code is mapped twice even if the host does not need it.</summary>
    public bool DualMapping { get; private init; }

    /// <summary>A line about an engine that was named before this one and cannot run; null if there is none.</summary>
    public string? Notice { get; init; }

    /// <summary>The text of <c>-accel help</c>.</summary>
    public static string Describe => "Accelerators supported by Vmm:\n"
        + (Accelerators.CanTranslate ? "jit (tcg is another name of it)\ninterp\nlockstep" : "interp (tcg is another name of it)");

    // QEMU's other engines, which need a host of another kind.
    private static readonly string[] s_absent = ["hvf", "whpx", "nvmm", "xen", "hax", "mshv", "nitro", "qtest"];

    internal static string Fastest => Accelerators.CanTranslate ? "jit" : "interp";

    // The engine is known, and this host cannot run it. The next one may do.
    internal sealed class UnavailableException(string message) : Exception(message);

    /// <summary>Parses one engine and its properties.</summary>
    /// <exception cref="OptionException">There is no such engine, or a property is wrong: one line.</exception>
    /// <exception cref="UnavailableException">This host cannot run the engine.</exception>
    internal static AcceleratorOption Parse(string text)
    {
        IReadOnlyList<(string Key, string? Value)> pairs = KeyValues.Parse(text, "accel");
        string name = pairs[0].Value ?? "";
        var option = new AcceleratorOption((pairs[0].Key == "accel" ? name : "") switch
        {
            "interp" => Accelerator.Interpreter,
            "jit" when Accelerators.CanTranslate => Accelerator.Jit,
            "lockstep" when Accelerators.CanTranslate => Accelerator.Lockstep,
            "tcg" => Accelerators.Default,
            "jit" or "lockstep" =>
                throw new UnavailableException(
                    "this host cannot run translated code (it takes x86-64 with BMI2, LZCNT, AVX2 and FMA3, and memory that may be "
                        + "written and executed): use --accel interp"),
            "kvm" => throw new UnavailableException(
                $"there is no KVM for Arm guests here: use -accel {Fastest} (kvm:{Fastest} falls back to it)"),
            _ when s_absent.Contains(name) =>
                throw new UnavailableException($"there is no {name} for Arm guests here: use -accel {Fastest}"),
            _ => throw new OptionException(
                $"unsupported accelerator '{UserText.Legible(text.Split(',')[0])}'; there are jit, interp and lockstep"),
        });
        for (int i = 1; i < pairs.Count; i++)
        {
            (string key, string? value) = pairs[i];
            option = (option.Accelerator, key) switch
            {
                (_, "tb-size") when name == "tcg" => option with { TranslationBytes = ParseSizeOfQemu(value ?? "") },
                (Accelerator.Interpreter, "split-wx") when name == "tcg" => OnlyChecked(option, key, value),
                (_, "one-insn-per-tb") when name == "tcg" => KeyValues.Switch(key, value)
                    ? throw new OptionException("one-insn-per-tb=on is not supported: use --accel interp") : option,
                (Accelerator.Jit or Accelerator.Lockstep, "tb-size") => option with { TranslationBytes = ParseSize(value ?? "") },
                (Accelerator.Jit or Accelerator.Lockstep, "stats") => option with { Statistics = ParseSwitch(key, value) },
                (Accelerator.Jit, "perfmap") => option with { PerfMap = ParseSwitch(key, value) },
                (Accelerator.Jit, "dual" or "split-wx") => option with { DualMapping = ParseSwitch(key, value) },
                (_, "thread") when name == "tcg" =>
                    value == "multi" ? option : throw new OptionException("thread is multi: each CPU has a thread of its own"),
                _ => throw new OptionException($"accelerator {name} has no property '{UserText.Legible(key)}'"),
            };
        }

        return option;
    }

    private static AcceleratorOption OnlyChecked(AcceleratorOption option, string key, string? value)
    {
        ParseSwitch(key, value);
        return option;
    }

    // QEMU takes any number of MiB, and 0 for its own choice.
    private static long ParseSizeOfQemu(string value) =>
        !QemuNumber.TryParse(value, out long mebibytes) || mebibytes < 0 ? ParseSize(value)
        : mebibytes == 0 ? Accelerators.DefaultTranslationBytes
        : Math.Clamp(mebibytes, Accelerators.SmallestTranslationBytes >> 20, LargestTranslationMebibytes) << 20;

    private static long ParseSize(string value)
    {
        long smallest = Accelerators.SmallestTranslationBytes >> 20;
        return QemuNumber.TryParse(value, out long mebibytes) && mebibytes >= smallest && mebibytes <= LargestTranslationMebibytes
            ? mebibytes << 20
            : throw new OptionException(
                $"tb-size is a number of MiB from {smallest} to {LargestTranslationMebibytes}, not '{UserText.Legible(value)}'");
    }

    private static bool ParseSwitch(string name, string? value) => value switch
    {
        "on" or "true" or null => true,
        "off" or "false" => false,
        _ => throw new OptionException($"{name} is on or off, not '{UserText.Legible(value)}'"),
    };
}
