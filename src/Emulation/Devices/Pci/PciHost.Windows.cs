using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Devices.Pci;

/// <content>The windows on the physical bus.</content>
public sealed partial class PciHost
{
    /// <summary>Configuration space: 12 bits of register, 8 of device and function, and the number of the bus above.</summary>
    private sealed class Ecam(PciHost host) : IMmioDevice
    {
        public string Name => "pcie-ecam";

        public ulong Read(ulong offset, int size) => size == sizeof(ulong)
            ? Read(offset, sizeof(uint)) | (Read(offset + sizeof(uint), sizeof(uint)) << 32)
            : Find(offset)?.ReadConfig((int)offset & (PciSpec.ConfigurationSize - 1), size) ?? MmioAccess.Truncate(ulong.MaxValue, size);

        public void Write(ulong offset, int size, ulong value)
        {
            if (size == sizeof(ulong))
            {
                Write(offset, sizeof(uint), (uint)value);
                Write(offset + sizeof(uint), sizeof(uint), value >> 32);
                return;
            }

            Find(offset)?.WriteConfig((int)offset & (PciSpec.ConfigurationSize - 1), size, value);
        }

        private PciFunction? Find(ulong offset)
        {
            lock (host.Lock)
            {
                return host.FindLocked((int)(offset / PciSpec.BusSize), (int)(offset >> 12) & (PciSpec.FunctionsOfBus - 1));
            }
        }
    }

    /// <summary>A window of memory or I/O.</summary>
    /// <param name="name">The name in traces and in <c>info mtree</c>.</param>
    /// <param name="start">The address on the PCI bus of its first byte.</param>
    private sealed class Aperture(string name, PciDecoder decoder, ulong start) : IMmioDevice
    {
        public string Name => name;

        public ulong Read(ulong offset, int size) => decoder.Read(start + offset, size);

        public void Write(ulong offset, int size, ulong value) => decoder.Write(start + offset, size, value);
    }
}
