using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Memory;
using static Vmm.Emulation.Devices.Virtio.VirtioMmioSpec;

namespace Vmm.Emulation.Devices.Virtio;

/// <summary>
/// A slot of the MMIO transport (Virtual I/O Device 1.2, section 4.2): the registers of a virtio device, and its interrupt. Version 2
/// only: a legacy driver finds a version that it does not know. An empty slot tells device ID 0, and its other registers read 0 (4.2.2.2).
/// </summary>
public sealed partial class VirtioMmio : IMmioDevice, IVirtioTransport
{
    /// <summary>Bytes of a slot of QEMU's <c>virt</c>.</summary>
    public const ulong WindowSize = 0x200;

    private readonly InterruptLine _line;

    // Over what follows. A call of the device comes with its lock held, so none is made from under this one.
    private readonly Lock _lock = new();
    private uint _deviceFeaturesSelect;
    private uint _driverFeaturesSelect;
    private uint _queue;
    private uint _interruptStatus;

    /// <param name="number">The number of the slot on its board.</param>
    /// <param name="line">High while an interrupt is not acknowledged.</param>
    /// <param name="device">Null for an empty slot.</param>
    public VirtioMmio(int number, InterruptLine line, VirtioDevice? device)
    {
        _number = number;
        _line = line;
        Device = device;
        device?.Connect(this);
    }

    public string Name => $"virtio-mmio{_number}";

    /// <summary>The number of the slot on its board.</summary>
    public int Number => _number;

    public VirtioDevice? Device { get; }

    public void InterruptQueue(int queue) => Raise(UsedBuffer);

    public void InterruptConfiguration() => Raise(ConfigurationChange);

    public ulong Read(ulong offset, int size)
    {
        if (offset >= Configuration)
        {
            return Device?.ReadConfiguration(offset - Configuration, size) ?? 0;
        }

        // The registers are read and written as 32 bits only (4.2.2.2).
        return size == sizeof(uint) ? Read(offset) : 0;
    }

    public void Write(ulong offset, int size, ulong value)
    {
        if (Device is not { } device)
        {
            return;
        }

        if (offset >= Configuration)
        {
            device.WriteConfiguration(offset - Configuration, size, value);
        }
        else if (size == sizeof(uint))
        {
            Write(device, offset, (uint)value);
        }
    }

    /// <summary>Power-on state of the slot and its device, whose backend has given everything back.</summary>
    public void Reset()
    {
        Device?.Reset();
        lock (_lock)
        {
            (_deviceFeaturesSelect, _driverFeaturesSelect, _queue) = (0, 0, 0);
        }

        Acknowledge(uint.MaxValue);
    }

    private uint Read(ulong offset)
    {
        if (Device is not { } device)
        {
            return offset switch
            {
                MagicValue => Magic,
                VirtioMmioSpec.Version => ModernVersion,
                VendorId => Vendor,
                _ => 0,
            };
        }

        (uint featuresSelect, uint queue, uint interruptStatus) = Registers();
        return offset switch
        {
            MagicValue => Magic,
            VirtioMmioSpec.Version => ModernVersion,
            VendorId => Vendor,
            DeviceId => (uint)device.DeviceId,
            DeviceFeatures => device.ReadFeatures(featuresSelect),
            QueueSizeMax => (uint)device.MaxSizeOf(queue),
            QueueReady => device.IsQueueEnabled(queue) ? 1u : 0,
            InterruptStatus => interruptStatus,
            Status => (uint)device.Status,
            >= SharedMemoryLengthLow and <= SharedMemoryBaseHigh => uint.MaxValue,
            ConfigurationGeneration => device.ConfigurationGeneration,
            _ => 0,
        };
    }

    private void Write(VirtioDevice device, ulong offset, uint value)
    {
        uint driverFeaturesSelect;
        uint queue;
        lock (_lock)
        {
            switch (offset)
            {
                case DeviceFeaturesSelect:
                    _deviceFeaturesSelect = value;
                    return;
                case DriverFeaturesSelect:
                    _driverFeaturesSelect = value;
                    return;
                case QueueSelect:
                    _queue = value;
                    return;
            }

            (driverFeaturesSelect, queue) = (_driverFeaturesSelect, _queue);
        }

        switch (offset)
        {
            case DriverFeatures:
                device.WriteDriverFeatures(driverFeaturesSelect, value);
                break;
            case QueueNotify:
                device.NotifyQueue(value);
                break;
            case InterruptAcknowledge:
                Acknowledge(value);
                break;
            case Status:
                device.WriteStatus((VirtioStatus)value);
                if (device.Status == VirtioStatus.None)
                {
                    Acknowledge(uint.MaxValue);
                }

                break;
            case QueueReady:
                if ((value & 1) != 0)
                {
                    device.EnableQueue(queue);
                }

                break;
            default:
                device.PlaceQueue(queue, Placed(device.LayoutOf(queue), offset, value));
                break;
        }
    }

    private static VirtqueueLayout Placed(VirtqueueLayout layout, ulong offset, uint value) => offset switch
    {
        QueueSize => layout with { Size = (int)Math.Min(value, int.MaxValue) },
        QueueDescriptorsLow => layout with { Descriptors = Low(layout.Descriptors, value) },
        QueueDescriptorsHigh => layout with { Descriptors = High(layout.Descriptors, value) },
        QueueDriverLow => layout with { Driver = Low(layout.Driver, value) },
        QueueDriverHigh => layout with { Driver = High(layout.Driver, value) },
        QueueDeviceLow => layout with { Device = Low(layout.Device, value) },
        QueueDeviceHigh => layout with { Device = High(layout.Device, value) },
        _ => layout,
    };

    private static ulong Low(ulong address, uint value) => (address & ~(ulong)uint.MaxValue) | value;

    private static ulong High(ulong address, uint value) => (uint)address | ((ulong)value << 32);

    private (uint FeaturesSelect, uint Queue, uint InterruptStatus) Registers()
    {
        lock (_lock)
        {
            return (_deviceFeaturesSelect, _queue, _interruptStatus);
        }
    }

    private void Raise(uint what)
    {
        lock (_lock)
        {
            _interruptStatus |= what;
            _line.Set(true);
        }
    }

    private void Acknowledge(uint what)
    {
        lock (_lock)
        {
            // An input that takes edges, as the device tree has it, is to see one for what is left.
            _interruptStatus &= ~what;
            _line.Set(false);
            _line.Set(_interruptStatus != 0);
        }
    }
}
