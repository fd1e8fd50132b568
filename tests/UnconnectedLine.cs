using Vmm.Emulation;
using Vmm.Emulation.Interrupts;

namespace Vmm.Tests;

/// <summary>A line that ends nowhere, for a device that is tested alone.</summary>
internal static class UnconnectedLine
{
    public static InterruptLine New() => new(new Nothing(), default);

    private sealed class Nothing : IInterruptSink
    {
        public void SetInput(IntId id, bool level)
        {
        }
    }
}
