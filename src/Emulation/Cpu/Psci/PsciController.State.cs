using Vmm.Emulation.State;

namespace Vmm.Emulation.Cpu.Psci;

/// <content>Saved state.</content>
public sealed partial class PsciController : IStateUnit
{
    public string Id => "psci";

    public void Save(StateWriter writer)
    {
        writer.Write<int>("power", _power);
        writer.Write<byte>("enabled", Array.ConvertAll(_enabled, e => (byte)(e ? 1 : 0)));
    }

    public void Load(StateReader reader)
    {
        var enabled = new byte[_enabled.Length];
        reader.Read("power", _power.AsSpan());
        reader.Require(Array.TrueForAll(_power, p => Enum.IsDefined((PowerState)p)), "power");
        reader.Read("enabled", enabled.AsSpan());
        for (int i = 0; i < enabled.Length; i++)
        {
            SetEnabled(new CpuIndex(i), enabled[i] != 0);
        }
    }
}
