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
    } + $" of {outcome.Id} (CPU {outcome.Cpu}): " + outcome.Kind switch
    {
        HotplugOutcomeKind.Done => "done",
        HotplugOutcomeKind.Refused => $"refused by the guest, _OST status 0x{outcome.OstStatus:x}",
        HotplugOutcomeKind.TimedOut => "no answer from the guest yet; still pending",
        _ when outcome.Operation.Comes() => "cancelled: the CPU was given back or asked back",
        _ => "cancelled: a reset came first",
    };
}
