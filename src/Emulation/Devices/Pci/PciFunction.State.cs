using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices.Pci;

public abstract partial class PciFunction : IStateUnit
{
    string IStateUnit.Id => "pci";

    int IStateUnit.SchemaVersion => SchemaVersion;

    /// <summary>The version of what <see cref="Save"/> writes.</summary>
    protected virtual int SchemaVersion => 1;

    public virtual void Save(StateWriter writer)
    {
        lock (ConfigLock)
        {
            writer.Write("config", config.Bytes);
            writer.Write("interrupt", _interrupt);
        }
    }

    public virtual void Load(StateReader reader)
    {
        byte[] bytes = new byte[config.Bytes.Length];
        reader.Read("config", bytes.AsSpan());
        byte interrupt = reader.Read<byte>("interrupt");
        reader.Require(interrupt <= 1, "interrupt");
        lock (ConfigLock)
        {
            config.Load(bytes);
            _interrupt = interrupt != 0;
            config.SetBits(PciSpec.Status, PciSpec.StatusInterrupt, _interrupt);
            ConfigChangedLocked();
            Bus.Host.UpdateLocked();
        }
    }
}
