using System.CommandLine;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Scaling;

namespace Vmm.Host.Commands;

/// <summary>The options of a command that say how the number of CPUs follows the load.</summary>
internal sealed class ScalingOptions
{
    private readonly Option<int> _minimum = Of("--minimum", "the least CPUs", 1);
    private readonly Option<double> _target = Of("--target", "the utilisation of enabled CPUs that is aimed at", ScalingPolicy.UsualTarget);
    private readonly Option<double> _spread = Of("--spread", "how far below it CPUs are unplugged", ScalingPolicy.UsualSpread);
    private readonly Option<int> _step = Of("--step", "the most CPUs that one decision changes", ScalingPolicy.UsualStep);
    private readonly Option<double> _upAfter = Of("--up-after", "seconds whose mean load plugs CPUs", ScalingPolicy.UsualUpAfter);

    private readonly Option<double> _downAfter =
        Of("--down-after", "seconds whose highest load unplugs CPUs", ScalingPolicy.UsualDownAfter);

    private readonly Option<double> _coolDown =
        Of("--cool-down", "least seconds between a change and an unplug", ScalingPolicy.UsualCoolDown);

    private readonly Option<int> _changes = Of("--changes", "the most changes of ten minutes", ScalingPolicy.UsualMostChanges);

    /// <summary>The option without which there is no policy, unless it has a value of its own.</summary>
    public Option<int?> Maximum { get; }

    /// <param name="maximum">The most CPUs without the option; null for no policy.</param>
    public ScalingOptions(int? maximum) =>
        Maximum = new Option<int?>("--maximum") { Description = "the most CPUs", DefaultValueFactory = _ => maximum };

    private Option[] All => [Maximum, _minimum, _target, _spread, _step, _upAfter, _downAfter, _coolDown, _changes];

    public void AddTo(Command command) => Array.ForEach(All, o => command.Add(o));

    /// <summary>Whether one of them was said.</summary>
    public bool AreSaid(ParseResult parsed) => Array.Exists(All, o => parsed.GetResult(o) is { Implicit: false });

    /// <summary>What was said; null without a maximum.</summary>
    public ScalingSpec? Parse(ParseResult parsed) => parsed.GetValue(Maximum) is not { } maximum ? null : new ScalingSpec(
        maximum, parsed.GetValue(_minimum), parsed.GetValue(_target), parsed.GetValue(_spread), parsed.GetValue(_step),
        parsed.GetValue(_upAfter), parsed.GetValue(_downAfter), parsed.GetValue(_coolDown), parsed.GetValue(_changes));

    private static Option<T> Of<T>(string name, string description, T value) =>
        new(name) { Description = description, DefaultValueFactory = _ => value };
}
