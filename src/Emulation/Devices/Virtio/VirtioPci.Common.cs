using Vmm.Emulation.Memory;
using Vmm.Emulation.State;
using static Vmm.Emulation.Devices.Virtio.VirtioPciSpec;

namespace Vmm.Emulation.Devices.Virtio;

/// <content>The common configuration (4.1.4.3), and the saved state.</content>
public sealed partial class VirtioPci
{
    public override IReadOnlyList<IStateUnit> StateUnits => [this, _device];

    public override void Save(StateWriter writer)
    {
        base.Save(writer);
        lock (_lock)
        {
            writer.Write<uint>("selects", [_deviceFeatureSelect, _driverFeatureSelect, _queue]);
            writer.Write("config-vector", _configVector);
            writer.Write<ushort>("vectors", _vectors);
            writer.Write("interrupt-status", _interruptStatus);
        }

        lock (ConfigLock)
        {
            _msix?.SaveLocked(writer);
        }
    }

    public override void Load(StateReader reader)
    {
        // Before the configuration space, which may let through what is pending.
        lock (ConfigLock)
        {
            _msix?.LoadLocked(reader);
        }

        lock (_lock)
        {
            Span<uint> selects = stackalloc uint[3];
            reader.Read("selects", selects);
            (_deviceFeatureSelect, _driverFeatureSelect, _queue) = (selects[0], selects[1], (ushort)selects[2]);
            _configVector = reader.Read<ushort>("config-vector");
            reader.Read("vectors", _vectors.AsSpan());
            _interruptStatus = reader.Read<byte>("interrupt-status");
        }

        base.Load(reader);
    }

    // A field is read with its own size; of one with 64 bits each half, too.
    private ulong ReadCommon(int at, int size)
    {
        uint featureSelect;
        ushort queue;
        ushort configVector;
        ushort vector;
        lock (_lock)
        {
            (featureSelect, queue, configVector) = (_deviceFeatureSelect, _queue, _configVector);
            vector = queue < _vectors.Length ? _vectors[queue] : NoVector;
            switch (at)
            {
                case DeviceFeatureSelect:
                    return featureSelect;
                case DriverFeatureSelect:
                    return _driverFeatureSelect;
            }
        }

        ulong value = at switch
        {
            DeviceFeature => _device.ReadFeatures(featureSelect),
            DriverFeature => _device.ReadDriverFeatures(DriverSelect),
            ConfigMsixVector => configVector,
            NumQueues => (ulong)_device.QueueCount,
            DeviceStatus => (ulong)_device.Status,
            ConfigGeneration => (byte)_device.ConfigurationGeneration,
            QueueSelect => queue,
            QueueSize => queue < _device.QueueCount ? (ulong)_device.LayoutOf(queue).Size : 0,
            QueueMsixVector => vector,
            QueueEnable => _device.IsQueueEnabled(queue) ? 1ul : 0,
            QueueNotifyOffset => queue < _device.QueueCount ? queue : 0ul,
            >= QueueDescriptors and < QueueDevice + sizeof(ulong) => ReadAddress(_device.LayoutOf(queue), at),
            _ => 0,
        };
        return MmioAccess.Truncate(value, size);
    }

    private uint DriverSelect
    {
        get
        {
            lock (_lock)
            {
                return _driverFeatureSelect;
            }
        }
    }

    private void WriteCommon(int at, int size, ulong value)
    {
        ushort queue;
        lock (_lock)
        {
            queue = _queue;
            switch (at)
            {
                case DeviceFeatureSelect:
                    _deviceFeatureSelect = (uint)value;
                    return;
                case DriverFeatureSelect:
                    _driverFeatureSelect = (uint)value;
                    return;
                case QueueSelect:
                    _queue = (ushort)value;
                    return;
                case ConfigMsixVector:
                    _configVector = Accepted(value);
                    return;
                case QueueMsixVector when queue < _vectors.Length:
                    _vectors[queue] = Accepted(value);
                    return;
            }
        }

        switch (at)
        {
            case DriverFeature:
                _device.WriteDriverFeatures(DriverSelect, (uint)value);
                break;
            case DeviceStatus:
                WriteStatus((VirtioStatus)value);
                break;
            case QueueSize:
                _device.PlaceQueue(queue, _device.LayoutOf(queue) with { Size = (ushort)value });
                break;
            case QueueEnable when (value & 1) != 0:
                _device.EnableQueue(queue);
                break;
            case >= QueueDescriptors and < QueueDevice + sizeof(ulong) when size >= sizeof(uint) && at % sizeof(uint) == 0:
                _device.PlaceQueue(queue, Placed(_device.LayoutOf(queue), at, size, value));
                break;
        }
    }

    // A reset of the device is one of the vectors and of the interrupt, not of the function (4.1.4.3.1).
    private void WriteStatus(VirtioStatus value)
    {
        _device.WriteStatus(value);
        if (value == VirtioStatus.None)
        {
            lock (_lock)
            {
                ResetLocked();
            }
        }
    }

    // A vector that there is not reads back as none (4.1.5.1.2.1).
    private ushort Accepted(ulong vector) => (ushort)vector < (_msix?.Vectors ?? 0) ? (ushort)vector : NoVector;

    private static ulong ReadAddress(VirtqueueLayout layout, int at) => AddressOf(layout, at) >> (at % sizeof(ulong) * 8);

    private static ulong AddressOf(VirtqueueLayout layout, int at) => (at & ~7) switch
    {
        QueueDescriptors => layout.Descriptors,
        QueueDriver => layout.Driver,
        _ => layout.Device,
    };

    private static VirtqueueLayout Placed(VirtqueueLayout layout, int at, int size, ulong value)
    {
        ulong before = AddressOf(layout, at);
        ulong address = size == sizeof(ulong) ? value
            : at % sizeof(ulong) == 0 ? (before & ~(ulong)uint.MaxValue) | (uint)value
            : (uint)before | (value << 32);
        return (at & ~7) switch
        {
            QueueDescriptors => layout with { Descriptors = address },
            QueueDriver => layout with { Driver = address },
            _ => layout with { Device = address },
        };
    }
}
