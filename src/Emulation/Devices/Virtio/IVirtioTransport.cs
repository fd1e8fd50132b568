namespace Vmm.Emulation.Devices.Virtio;

/// <summary>
/// The way of a virtio device to its driver (Virtual I/O Device 1.2, chapter 4): it has the registers that the guest accesses, and the
/// interrupts. Its own state, such as an interrupt status register, is behind a lock of its own. The device may call it with its own lock
/// held, so a transport calls the device without holding its lock.
/// </summary>
public interface IVirtioTransport
{
    /// <summary>The device; null in a slot that is empty.</summary>
    VirtioDevice? Device { get; }

    /// <summary>The driver is to look at the used ring of a queue. Any thread.</summary>
    void InterruptQueue(int queue);

    /// <summary>The driver is to look at the configuration space and at the device status. Any thread.</summary>
    void InterruptConfiguration();
}
