using Vmm.Emulation.Devices.Virtio.Serial;

namespace Vmm.Host.Options;

/// <summary>The character devices of the host, for ports that come and go while the VM runs. Any thread.</summary>
public interface IPortBackends
{
    /// <summary>Opens the character device of a port, and carries its bytes from then on.</summary>
    /// <exception cref="OptionException">There is none of its name, another one has it, or it cannot be opened: one line.</exception>
    void Attach(SerialPortConfig port);

    /// <summary>The port is no more: its character device is closed, and may be another one's. A port without one is passed over.</summary>
    void Detach(SerialPortConfig port);
}
