using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>Tests of a virtio device, with the test as its driver and its backend: the RAM of the driver's rings.</summary>
public abstract class VirtioDeviceTests : IDisposable
{
    protected VirtioDeviceTests() => Ram.AddMemory(Memory);

    /// <summary>RAM as the host has it.</summary>
    protected GuestMemory Memory { get; } = new(new GuestPhysicalAddress(RingDriver.Base), RingDriver.RamSize);

    /// <summary>RAM as the device has it.</summary>
    protected PhysicalAddressSpace Ram { get; } = new();

    /// <summary>Split and packed rings, without and with indirect descriptors, without and with the event index.</summary>
    public static TheoryData<bool, bool, bool> Rings()
    {
        var all = new TheoryData<bool, bool, bool>();
        for (int i = 0; i < 8; i++)
        {
            all.Add((i & 1) != 0, (i & 2) != 0, (i & 4) != 0);
        }

        return all;
    }

    public virtual void Dispose()
    {
        Memory.Dispose();
        GC.SuppressFinalize(this);
    }
}

/// <summary>What every device core must do, of a virtio device behind its slot.</summary>
public abstract class VirtioDeviceFixture : DeviceFixture, IDisposable
{
    private readonly GuestMemory _memory = new(new GuestPhysicalAddress(RingDriver.Base), RingDriver.RamSize);

    protected VirtioDeviceFixture() => Ram.AddMemory(_memory);

    protected PhysicalAddressSpace Ram { get; } = new();

    public virtual void Dispose()
    {
        _memory.Dispose();
        GC.SuppressFinalize(this);
    }
}
