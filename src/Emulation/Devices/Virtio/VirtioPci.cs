using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Memory;
using static Vmm.Emulation.Devices.Virtio.VirtioPciSpec;

namespace Vmm.Emulation.Devices.Virtio;

/// <summary>
/// The PCI transport of a virtio device (Virtual I/O Device 1.2, section 4.1), without the registers of legacy drivers, as QEMU's devices
/// with <c>disable-legacy=on</c>. With MSI-X each queue can have a vector; without it all share the pin, and the interrupt status says why.
/// </summary>
public sealed partial class VirtioPci : PciFunction, IVirtioTransport, IMmioDevice
{
    private const int IntA = 1;
    private const uint Unclassified = 0xFF_0000;

    private readonly VirtioDevice _device;
    private readonly PciMsix? _msix;
    private readonly int _access;

    // The capability of PCI Express; 0 on the root bus.
    private readonly int _express;

    // Over what follows. A call of the device comes with its lock held, so none is made from under this one. Lock order:
    // device → this → PCI host.
    private readonly Lock _lock = new();
    private readonly ushort[] _vectors;
    private uint _deviceFeatureSelect;
    private uint _driverFeatureSelect;
    private ushort _queue;
    private ushort _configVector = NoVector;
    private byte _interruptStatus;

    /// <param name="id">The name on the board.</param>
    /// <param name="bus">The bus on which it will be: behind a root port it is a PCI Express endpoint.</param>
    /// <param name="device">The device.</param>
    /// <param name="vectors">The number of its vectors of MSI-X; 0 for none, null for one of each queue and one of changes.</param>
    public VirtioPci(string id, PciBus bus, VirtioDevice device, int? vectors = null)
        : base(id, new PciConfigSpace(express: bus.Bridge != null, EndpointHeader(Identify(device), IntA)), IntA)
    {
        Bus = bus;
        _device = device;
        _vectors = new ushort[device.QueueCount];
        Array.Fill(_vectors, NoVector);
        if ((vectors ?? device.QueueCount + 1) is > 0 and int count)
        {
            _msix = new PciMsix(this, count, MsixBar);
            AddBar(new PciBar(MsixBar, PciBarKind.Memory, _msix.WindowSize, _msix));
        }

        AddBar(new PciBar(StructuresBar, PciBarKind.Prefetchable64, StructuresSize, this));
        AddStructure(CommonType, Common);
        AddStructure(InterruptStatusType, InterruptStatus);
        AddStructure(DeviceType, VirtioPciSpec.Device);
        AddStructure(NotifyType, Notify, new PciRegister(ExtraField, 4, NotifyMultiplier));
        _access = Config.AddCapability(
            PciSpec.VendorCapability,
            LongCapabilitySize,
            new PciRegister(LengthField, 1, LongCapabilitySize),
            new PciRegister(TypeField, 1, AccessType),
            new PciRegister(BarField, 1, 0, Writable: 0xFF),
            new PciRegister(OffsetField, 4, 0, Writable: uint.MaxValue),
            new PciRegister(SizeField, 4, 0, Writable: uint.MaxValue));
        if (bus.Bridge != null)
        {
            _express = PciExpress.AddCapability(Config, PciExpress.Endpoint);
        }

        device.Connect(this);
    }

    public string Name => $"{_device.Name}-pci";

    VirtioDevice IVirtioTransport.Device => _device;

    public void InterruptQueue(int queue)
    {
        lock (_lock)
        {
            InterruptLocked(_vectors[queue], UsedBuffer);
        }
    }

    public void InterruptConfiguration()
    {
        lock (_lock)
        {
            InterruptLocked(_configVector, ConfigurationChange);
        }
    }

    /// <summary>Power-on state of the function and its device, whose backend has given everything back.</summary>
    public override void Reset()
    {
        _device.Reset();
        lock (_lock)
        {
            ResetLocked();
        }

        lock (ConfigLock)
        {
            _msix?.ResetLocked();
        }

        base.Reset();
    }

    internal override void ResetByBus()
    {
        _device.WriteStatus(VirtioStatus.None);
        lock (_lock)
        {
            ResetLocked();
        }

        lock (ConfigLock)
        {
            _msix?.ResetLocked();
        }

        base.ResetByBus();
    }

    public ulong Read(ulong offset, int size)
    {
        ulong at = offset % StructureSize;
        return (offset - at) switch
        {
            Common => ReadCommon((int)at, size),
            InterruptStatus => at == 0 ? TakeInterruptStatus() : 0u,
            VirtioPciSpec.Device => _device.ReadConfiguration(at, size),
            _ => 0,
        };
    }

    public void Write(ulong offset, int size, ulong value)
    {
        ulong at = offset % StructureSize;
        switch (offset - at)
        {
            case Common:
                WriteCommon((int)at, size, value);
                break;
            case VirtioPciSpec.Device:
                _device.WriteConfiguration(at, size, value);
                break;
            case Notify:
                _device.NotifyQueue((uint)at / NotifyMultiplier);
                break;
        }
    }

    /// <summary>The last capability reads what its own fields point to (4.1.4.9).</summary>
    internal override ulong ReadConfig(int offset, int size) =>
        Access(offset, size) is { } at ? Read(at, size) : base.ReadConfig(offset, size);

    internal override void WriteConfig(int offset, int size, ulong value)
    {
        if (Access(offset, size) is { } at)
        {
            Write(at, size, value);
        }
        else
        {
            base.WriteConfig(offset, size, value);
            int control = _express + PciExpress.DeviceControl + 1 - offset;
            if (_express != 0 && control >= 0 && control < size && ((value >> (control * 8)) & (PciExpress.FunctionReset >> 8)) != 0)
            {
                ResetByBus();
            }
        }
    }

    /// <summary>What was masked may be sent now.</summary>
    protected override void ConfigChangedLocked() => _msix?.ConfigChangedLocked();

    private static PciIdentity Identify(VirtioDevice device)
    {
        ushort id = (ushort)(FirstDeviceId + (int)device.DeviceId);
        return new PciIdentity(
            PciSpec.RedHatVirtio, id, ClassOf(device.DeviceId), Revision, PciSpec.RedHatVirtio, Subsystem: PciSpec.QemuSubsystem);
    }

    // As QEMU's devices.
    private static uint ClassOf(VirtioDeviceId device) => device switch
    {
        VirtioDeviceId.Network => 0x02_0000,
        VirtioDeviceId.Block => 0x01_0000,
        VirtioDeviceId.Console => 0x07_8000,
        VirtioDeviceId.FileSystem9P => 0x00_0200,
        _ => Unclassified >> 8,
    };

    private void AddStructure(byte type, uint offset, params PciRegister[] extra)
    {
        int size = extra.Length == 0 ? CapabilitySize : LongCapabilitySize;
        Config.AddCapability(
            PciSpec.VendorCapability,
            size,
            [
                new(LengthField, 1, (ulong)size), new(TypeField, 1, type), new(BarField, 1, StructuresBar), new(OffsetField, 4, offset),
                new(SizeField, 4, StructureSize), .. extra,
            ]);
    }

    // The offset in the structures that an access to the data of the last capability is for; null for another access, or a pointer that is
    // wrong.
    private ulong? Access(int offset, int size)
    {
        if (offset != _access + ExtraField)
        {
            return null;
        }

        lock (ConfigLock)
        {
            ulong at = Config.Get(_access + OffsetField, 4);
            bool right = Config.Get(_access + BarField, 1) == StructuresBar && Config.Get(_access + SizeField, 4) == (ulong)size
                && at % (ulong)size == 0 && at <= StructuresSize - (ulong)size;
            return right ? at : null;
        }
    }

    private void InterruptLocked(ushort vector, byte what)
    {
        if (_msix?.Notify(vector) != true)
        {
            _interruptStatus |= what;
            SetInterrupt(true);
        }
    }

    private byte TakeInterruptStatus()
    {
        lock (_lock)
        {
            byte status = _interruptStatus;
            _interruptStatus = 0;
            SetInterrupt(false);
            return status;
        }
    }

    private void ResetLocked()
    {
        (_deviceFeatureSelect, _driverFeatureSelect, _queue, _configVector, _interruptStatus) = (0, 0, 0, NoVector, 0);
        Array.Fill(_vectors, NoVector);
        SetInterrupt(false);
    }
}
