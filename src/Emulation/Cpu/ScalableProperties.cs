using System.Numerics;
using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Cpu;

/// <summary>
/// The properties that choose SVE and its vector lengths, with QEMU's names and rules: <c>sve</c>, <c>sve128</c> to <c>sve2048</c>,
/// <c>sve-max-vq</c>, which <c>max</c> alone has.
/// </summary>
public sealed class ScalableProperties
{
    /// <summary>Bits by which lengths differ.</summary>
    public const int Step = 128;

    /// <summary>The longest vector, in steps.</summary>
    public const int Longest = 16;

    private const string Sve = "sve";
    private const string MaxVq = "sve-max-vq";

    // The lengths that are powers of two: all below the longest are required.
    private const uint Powers = (1 << 0) | (1 << 1) | (1 << 3) | (1 << 7) | (1 << 15);

    private bool? _sve;
    private uint _on;
    private uint _named;
    private int _most;

    /// <summary>The names of the properties that are true or false.</summary>
    public static IEnumerable<string> Switches => Enumerable.Range(1, Longest).Select(n => $"{Sve}{n * Step}").Prepend(Sve);

    /// <summary>The name of the number, of steps, that the longest vector has.</summary>
    public static string Number => MaxVq;

    private static bool CanHave(CpuModel model) => model.SupportedLengths != 0;

    /// <summary>Whether the property of a model is one of <see cref="Switches"/> or <see cref="Number"/>.</summary>
    public static bool CanSet(CpuModel model, string name) =>
        CanHave(model) && (name == Number ? model.Name is "max" or "host" : Switches.Contains(name));

    /// <summary>The values of <see cref="Switches"/> that a model has; none if it cannot have SVE.</summary>
    public static IEnumerable<(string Name, bool Value)> Of(CpuModel model)
    {
        string[] lengths = [.. model.NamesOfVectorLengths];
        return CanHave(model)
            ? Switches.Select(name => (name, name == Sve ? model.Has(Feature.Sve) : lengths.Contains(name)))
            : [];
    }

    /// <summary>Sets one of <see cref="Switches"/>.</summary>
    public void Set(string name, bool value)
    {
        if (name == Sve)
        {
            _sve = value;
            return;
        }

        uint bit = 1u << ((int.Parse(name.AsSpan(Sve.Length)) / Step) - 1);
        _named |= bit;
        _on = value ? _on | bit : _on & ~bit;
    }

    /// <summary>Sets <see cref="Number"/>.</summary>
    /// <exception cref="ArgumentException">There is no such length.</exception>
    public void SetMost(long steps) => _most = steps is >= 1 and <= Longest
        ? (int)steps
        : throw new ArgumentException($"unsupported SVE vector length: valid {MaxVq} in range [1-{Longest}]");

    /// <summary>The model with what was set.</summary>
    /// <exception cref="ArgumentException">The properties contradict each other; the message is one line.</exception>
    public CpuModel Apply(CpuModel model)
    {
        bool asked = _on != 0 || _most != 0;
        if (_sve == null && !asked && _named == 0)
        {
            return model;
        }

        bool enabled = _sve ?? (asked || model.Has(Feature.Sve));
        if (!enabled && !asked)
        {
            return model.WithScalable(0);
        }

        uint lengths = Lengths(model.SupportedLengths);
        return enabled ? model.WithScalable(lengths)
            : throw new ArgumentException($"cannot enable {Name(Top(lengths))}: SVE must be enabled to enable vector lengths, by sve=on");
    }

    // The lengths, by bit, that follow from those that were named.
    private uint Lengths(uint supported)
    {
        uint lengths = _on;
        if (lengths != 0)
        {
            int top = Top(lengths);
            if (_most != 0 && top > _most)
            {
                throw new ArgumentException($"cannot enable {Name(top)}: {Name(top)} is larger than the maximum vector length, "
                    + $"{MaxVq}={_most} ({_most * Step} bits)");
            }

            lengths |= Powers & ~_named & Below(top) & supported;
        }
        else if (_most == 0)
        {
            // All that are shorter than the first power of two that is off.
            uint off = _named & Powers;
            lengths = ~_named & Below(off == 0 ? Longest : BitOperations.TrailingZeroCount(off)) & supported;
            if (lengths == 0)
            {
                throw new ArgumentException("cannot disable sve128: with SVE enabled, at least one vector length must be enabled");
            }
        }

        if (_most != 0)
        {
            if ((_named & ~_on & (1u << (_most - 1))) != 0)
            {
                throw new ArgumentException(
                    $"cannot disable {Name(_most)}: the maximum vector length must be enabled, {MaxVq}={_most} ({_most * Step} bits)");
            }

            lengths |= ~_named & Below(_most);
        }

        if ((lengths & ~supported) is var beyond and not 0)
        {
            throw new ArgumentException(
                $"cannot enable {Name(Top(beyond))}: this CPU does not support the vector length {Top(beyond) * Step} bits");
        }

        uint missing = Powers & ~lengths & Below(Top(lengths));
        return missing == 0 ? lengths
            : throw new ArgumentException($"cannot disable {Name(Top(missing))}: it is required as a power-of-two length smaller than the "
                + $"maximum, {Name(Top(lengths))}");
    }

    // The longest of some lengths, in steps.
    private static int Top(uint lengths) => 32 - BitOperations.LeadingZeroCount(lengths);

    private static uint Below(int steps) => (1u << steps) - 1;

    private static string Name(int steps) => $"{Sve}{steps * Step}";
}
