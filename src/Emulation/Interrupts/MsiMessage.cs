using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Interrupts;

/// <summary>A message-signalled interrupt: 32 bits that a device writes to an address which the guest has chosen.</summary>
public readonly record struct MsiMessage(ulong Address, uint Data)
{
    /// <summary>A message that no controller of interrupts takes is a write to RAM, or to nothing.</summary>
    public void Store(IDmaMemory memory)
    {
        try
        {
            memory.TryWrite(Address, BitConverter.GetBytes(Data));
        }
        catch (MissingPageException)
        {
            // The page has not arrived. No driver waits for a message in RAM, which tells it nothing that an interrupt would.
        }
    }
}

/// <summary>Takes the messages of devices that can send them.</summary>
public interface IMsiTarget
{
    /// <summary>Takes a message. Any thread, which may hold the lock of a device core or of the PCI host.</summary>
    /// <param name="requester">Who sends it: bus, device and function in 16 bits.</param>
    void Send(MsiMessage message, uint requester);
}
