using Vmm.Actors.Protocol;

namespace Vmm.Management.Text;

/// <summary>The end of a plug, unplug, enabling or disabling in words for people.</summary>
public static class OutcomeText
{
    public static string Of(HotplugOutcome outcome) => outcome.Operation switch
    {
        HotplugOperation.Plug => "plug",
        HotplugOperation.Unplug => "unplug",
        HotplugOperation.Enable => "enabling",
        _ => "disabling",
    } + (outcome.Cpu >= 0 ? $" of {outcome.Id} (CPU {outcome.Cpu}): " : $" of {NameOf(outcome)}: ") + outcome.Kind switch
    {
        HotplugOutcomeKind.Done => "done",
        HotplugOutcomeKind.Refused when outcome.Cpu < 0 => "refused by the guest",
        HotplugOutcomeKind.Refused => $"refused by the guest, _OST status 0x{outcome.OstStatus:x}",
        HotplugOutcomeKind.TimedOut => "no answer from the guest yet; still pending",
        _ when outcome.Cpu < 0 => "cancelled: a reset or another request came first",
        _ when outcome.Operation.Comes() => "cancelled: the CPU was given back or asked back",
        _ => "cancelled: a reset came first",
    };

    private static string NameOf(HotplugOutcome outcome) => outcome.Id.Length > 0 ? outcome.Id : outcome.QomPath;
}
