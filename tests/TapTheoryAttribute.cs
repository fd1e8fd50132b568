namespace Vmm.Tests;

/// <summary>A test with cases that needs tap interfaces of the host: skipped, with the reason, where it cannot have them.</summary>
internal sealed class TapTheoryAttribute : TheoryAttribute
{
    public TapTheoryAttribute() => Skip = BridgedNetwork.Missing;
}
