using Vmm.Emulation.State;

namespace Vmm.Emulation.Interrupts.GicV3;

public sealed partial class Gic : IStateUnit
{
    /// <summary>The last version of the saved state in which there were no LPIs.</summary>
    internal const int VersionWithoutLpis = 1;

    public string Id => "gicv3";

    public int SchemaVersion => VersionWithoutLpis + 1;

    public void Save(StateWriter writer)
    {
        lock (Lock)
        {
            Distributor.SaveLocked(writer);
            writer.Write("cpus", CpuInterfaces.Length);
            writer.Write<byte>("lpi-configuration", _lpis == null ? [] : _lpis.Entries);
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
            LoadLpiConfigurationLocked(reader);
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

    private void LoadLpiConfigurationLocked(StateReader reader)
    {
        _lpis = null;
        if (reader.Version > VersionWithoutLpis)
        {
            int length = ItsSpec.EndOfLpis - ItsSpec.FirstLpi;
            byte[] configuration = reader.ReadArray<byte>("lpi-configuration", length);
            reader.Require(configuration.Length == 0 || (configuration.Length == length && LpiMemory != null), "lpi-configuration");
            if (configuration.Length > 0)
            {
                configuration.CopyTo(LpisLocked.Entries);
            }
        }
    }
}
