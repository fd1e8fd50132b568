using System.Globalization;
using System.Text;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <content>The state as text.</content>
public sealed partial class Gic
{
    /// <summary>
    /// Interrupts that are enabled, pending or active, a line each; private ones of the CPUs that are attached. Any thread.
    /// </summary>
    public string DescribeInterrupts()
    {
        var text = new StringBuilder("INTID  target  state                    priority  trigger");
        lock (Lock)
        {
            foreach (CpuInterface cpu in CpuInterfaces.Where(c => c.Accessible))
            {
                cpu.Redistributor.DescribeInterruptsLocked(text);
            }

            Distributor.DescribeInterruptsLocked(text);
        }

        return text.ToString();
    }

    /// <summary>The CPU interfaces of the CPUs that are attached, a line each. Any thread.</summary>
    public string DescribeCpuInterfaces()
    {
        var text = new StringBuilder();
        lock (Lock)
        {
            text.Append(Distributor.DescribeLocked());
            foreach (CpuInterface cpu in CpuInterfaces.Where(c => c.Accessible))
            {
                text.Append('\n').Append(cpu.DescribeLocked());
            }
        }

        return text.ToString();
    }

    internal static void AppendInterrupt(
        StringBuilder text, int id, string target, bool enabled, bool pending, bool active, byte priority, bool edge)
    {
        if (enabled || pending || active)
        {
            string state = $"{(enabled ? "enabled" : "disabled")}{(pending ? " pending" : "")}{(active ? " active" : "")}";
            text.Append(
                CultureInfo.InvariantCulture, $"\n{id,5}  {target,-6}  {state,-23}  {priority:x2}        {(edge ? "edge" : "level")}");
        }
    }
}
