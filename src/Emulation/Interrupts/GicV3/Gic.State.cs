using Vmm.Emulation.State;

namespace Vmm.Emulation.Interrupts.GicV3;

public sealed partial class Gic : IStateUnit
{
    public string Id => "gicv3";

    public void Save(StateWriter writer)
    {
        lock (Lock)
        {
            Distributor.SaveLocked(writer);
            writer.Write("cpus", CpuInterfaces.Length);
            foreach (CpuInterface cpu in CpuInterfaces)
            {
                cpu.Redistributor.SaveLocked(writer);
                cpu.SaveLocked(writer);
            }
        }
    }

    /// <summary>Loads the state; attaches and detaches CPUs as they were. Devices loaded before or after may drive their lines.</summary>
    public void Load(StateReader reader)
    {
        lock (Lock)
        {
            reader.Require(reader.Read<int>("cpus") == CpuInterfaces.Length, "cpus");
            Distributor.LoadLocked(reader);
            foreach (CpuInterface cpu in CpuInterfaces)
            {
                cpu.Redistributor.LoadLocked(reader);
                cpu.LoadLocked(reader);
            }

            UpdateAllLocked();
        }

        // The output of a timer follows the counter with a delay, so the GIC may have been saved before it had risen.
        _lines.ForEach(line => line.DriveAgain());
    }
}
