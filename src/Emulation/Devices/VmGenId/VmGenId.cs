using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Devices.VmGenId;

/// <summary>
/// The VM generation ID (Microsoft, Virtual Machine Generation ID, 2012; QEMU, docs/specs/vmgenid.rst): 16 bytes that are another number
/// in each VM that goes on from one saved state, so that a guest notices it and makes its random numbers anew. The guest reads them in a
/// window of its own, which requirement R1b of the specification allows: it is there under firmware and without, and no part of RAM.
/// </summary>
/// <param name="given">The number that a person has chosen; null for a random one.</param>
public sealed partial class VmGenId(Guid? given) : IMmioDevice
{
    /// <summary>Bytes of the number: a GUID in its mixed-endian form.</summary>
    public const int IdSize = 16;

    private readonly Lock _lock = new();
    private Guid _id = given ?? Guid.NewGuid();

    public string Name => "vmgenid";

    /// <summary>The number now. Any thread.</summary>
    public Guid Id
    {
        get
        {
            lock (_lock)
            {
                return _id;
            }
        }
    }

    /// <summary>The VM is another one from now on. The caller has the GED tell the guest.</summary>
    public void Renew()
    {
        lock (_lock)
        {
            _id = given ?? Guid.NewGuid();
        }
    }

    public ulong Read(ulong offset, int size)
    {
        Span<byte> bytes = stackalloc byte[IdSize + sizeof(ulong)];
        bytes.Clear();
        if (offset >= IdSize)
        {
            return 0;
        }

        Id.TryWriteBytes(bytes);
        return MmioAccess.Truncate(BitConverter.ToUInt64(bytes[(int)offset..]), size);
    }

    public void Write(ulong offset, int size, ulong value)
    {
    }
}
