namespace Vmm.Fleet.Scaling;

/// <summary>What is to be done with the CPUs of a VM.</summary>
public enum ScalingAction
{
    Hold,
    Plug,
    Unplug,
}

/// <summary>Why.</summary>
public enum ScalingReason
{
    /// <summary>The load asks for as many CPUs as there are.</summary>
    Steady,

    /// <summary>The load asks for more CPUs.</summary>
    LoadHigh,

    /// <summary>The load has asked for fewer CPUs for long enough.</summary>
    LoadLow,
    BelowMinimum,
    AboveMaximum,

    /// <summary>The owner's quota was lowered.</summary>
    OverQuota,

    /// <summary>The load asks for more CPUs, and the owner's quota has none left.</summary>
    QuotaReached,

    /// <summary>The load asks for more CPUs than the policy's maximum.</summary>
    MaximumReached,

    /// <summary>A request is under way.</summary>
    Pending,

    /// <summary>The load is low, but a change was made a moment ago, or too many were.</summary>
    CoolingDown,

    /// <summary>The guest has refused the CPUs in question, or none of them can change.</summary>
    Refused,
}

/// <param name="Cpus">The CPUs to be plugged or unplugged, in this order; empty for <see cref="ScalingAction.Hold"/>.</param>
/// <param name="Load">How many CPUs are busy, over the time that the policy says.</param>
/// <param name="Enabled">How many CPUs were enabled when it was made.</param>
public sealed record ScalingDecision(ScalingAction Action, ScalingReason Reason, IReadOnlyList<int> Cpus, double Load, int Enabled)
{
    /// <summary>One line for people.</summary>
    public string InWords()
    {
        string why = Reason switch
        {
            ScalingReason.Steady => "as the load asks",
            ScalingReason.LoadHigh => "the load asks for more",
            ScalingReason.LoadLow => "the load has asked for fewer for long enough",
            ScalingReason.BelowMinimum => "fewer than the minimum",
            ScalingReason.AboveMaximum => "more than the maximum",
            ScalingReason.OverQuota => "more than the owner's quota",
            ScalingReason.QuotaReached => "the load asks for more, and the owner's quota has none left",
            ScalingReason.MaximumReached => "the load asks for more than the maximum",
            ScalingReason.Pending => "a request is under way",
            ScalingReason.CoolingDown => "the load is low, but CPUs have just changed",
            _ => "the guest has refused those that could change",
        };
        string cpus = string.Join(", ", Cpus.Select(cpu => $"cpu{cpu}"));
        string what = Action == ScalingAction.Hold ? "hold" : $"{(Action == ScalingAction.Plug ? "plug" : "unplug")} {cpus}";
        return FormattableString.Invariant($"{what}: {Enabled} CPUs are enabled and {Load:0.00} busy; {why}");
    }
}
