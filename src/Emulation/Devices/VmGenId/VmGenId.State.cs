using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices.VmGenId;

public sealed partial class VmGenId : IStateUnit
{
    string IStateUnit.Id => Name;

    public void Save(StateWriter writer) => writer.Write<byte>("id", Id.ToByteArray());

    public void Load(StateReader reader)
    {
        byte[] id = new byte[IdSize];
        reader.Read("id", id.AsSpan());
        lock (_lock)
        {
            _id = new Guid(id);
        }
    }
}
