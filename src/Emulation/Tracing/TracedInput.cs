using Vmm.Emulation.Interrupts;

namespace Vmm.Emulation.Tracing;

/// <summary>An input of the interrupt controller whose changes are traced.</summary>
/// <param name="name">The kind of the interrupt: <c>spi</c>, or <c>cpu3 ppi</c>.</param>
internal sealed class TracedInput(TraceLog trace, IInterruptSink sink, string name) : IInterruptSink
{
    public void SetInput(IntId id, bool level)
    {
        trace.Write(TraceCategories.Irq, $"{name} {id.Value} {(level ? "rises" : "falls")}");
        sink.SetInput(id, level);
    }
}
