namespace Vmm.Emulation.Interrupts;

/// <summary>A message-signalled interrupt: 32 bits that a device writes to an address which the guest has chosen.</summary>
public readonly record struct MsiMessage(ulong Address, uint Data);

/// <summary>Takes the messages of devices that can send them.</summary>
public interface IMsiTarget
{
    /// <summary>Takes a message. Any thread, which may hold the lock of a device core or of the PCI host.</summary>
    /// <param name="requester">Who sends it: bus, device and function in 16 bits.</param>
    void Send(MsiMessage message, uint requester);
}
