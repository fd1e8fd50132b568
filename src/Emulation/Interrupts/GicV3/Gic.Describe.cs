using System.Globalization;
using System.Text;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <content>The state as text.</content>
public sealed partial class Gic
{
    private const int FirstSpi = 32;

    // GICD_IROUTER.Interrupt_Routing_Mode.
    private const ulong AnyTarget = 1ul << 31;

    /// <summary>Interrupts that are enabled, pending or active, a line each; private ones of the CPUs that are attached. Any thread.</summary>
    public string DescribeInterrupts()
    {
        var text = new StringBuilder("INTID  target  state                    priority  trigger");
        lock (Lock)
        {
            foreach (GicCpuInterface cpu in CpuInterfaces.Where(c => c.Accessible))
            {
                cpu.DescribeInterruptsLocked(text);
            }

            for (int id = FirstSpi; id < Interrupts; id++)
            {
                uint bit = 1u << (id & 31);
                int word = id >> 5;
                string target = (_router[id] & AnyTarget) != 0 ? "any" : $"{_router[id] & 0xFF_00FF_FFFF:x}";
                AppendInterrupt(text, id, target, (_enabled[word] & bit) != 0, (PendingLocked(word) & bit) != 0, (_active[word] & bit) != 0, _priority[id], (_edge[word] & bit) != 0);
            }
        }

        return text.ToString();
    }

    /// <summary>The CPU interfaces of the CPUs that are attached, a line each. Any thread.</summary>
    public string DescribeCpuInterfaces()
    {
        var text = new StringBuilder();
        lock (Lock)
        {
            text.Append(CultureInfo.InvariantCulture, $"arm-gicv3: GICD_CTLR={_control:x8}");
            foreach (GicCpuInterface cpu in CpuInterfaces.Where(c => c.Accessible))
            {
                text.Append('\n').Append(cpu.DescribeLocked());
            }
        }

        return text.ToString();
    }

    internal static void AppendInterrupt(StringBuilder text, int id, string target, bool enabled, bool pending, bool active, byte priority, bool edge)
    {
        if (enabled || pending || active)
        {
            string state = string.Join(' ', new[] { enabled ? "enabled" : "disabled", pending ? "pending" : "", active ? "active" : "" }.Where(s => s.Length > 0));
            text.Append(CultureInfo.InvariantCulture, $"\n{id,5}  {target,-6}  {state,-23}  {priority:x2}        {(edge ? "edge" : "level")}");
        }
    }
}
