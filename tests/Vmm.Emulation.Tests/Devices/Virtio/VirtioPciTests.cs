using System.Buffers.Binary;
using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Rng;
using Vmm.Emulation.Memory;
using Vmm.Emulation.State;
using Vmm.Emulation.Tests.Devices.Pci;
using static Vmm.Emulation.Devices.Virtio.VirtioPciSpec;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>The PCI transport with an entropy device behind it, by a driver that goes from capability to capability.</summary>
public sealed class VirtioPciTests : IDisposable
{
    private const ulong Ram = 0x8000_0000;
    private const ulong Descriptors = Ram + 0x1000;
    private const ulong Available = Ram + 0x2000;
    private const ulong Used = Ram + 0x3000;
    private const ulong Buffer = Ram + 0x4000;
    private const ulong Structures = PciHarness.High + 0x4000;
    private const ulong Msix = PciHarness.Memory + 0x1000;

    private readonly PciHarness _pci = new();
    private readonly GuestMemory _ram = new(new GuestPhysicalAddress(Ram), 0x10_0000);
    private readonly VirtioRng _rng;
    private readonly VirtioPci _function;

    public VirtioPciTests()
    {
        _pci.Bus.AddMemory(_ram);
        _rng = new VirtioRng(_pci.Bus);
        _function = new VirtioPci("rng", _pci.Host.Root, _rng);
        _pci.Host.Root.Add(_function, new PciSlot(2, 0));
    }

    [Fact]
    public void VirtioPci_says_what_it_is_and_where_its_structures_are()
    {
        Assert.Equal(0x1044_1AF4u, _pci.Read(Config(0)));
        Assert.Equal(0x00FF_0001u, _pci.Read(Config(PciSpec.RevisionId)));
        (byte Type, byte Bar, uint Offset, uint Length)[] found = [.. Capabilities(PciSpec.VendorCapability).Select(at => (
            (byte)_pci.Read(Config(at + TypeField), 1),
            (byte)_pci.Read(Config(at + BarField), 1),
            (uint)_pci.Read(Config(at + OffsetField)),
            (uint)_pci.Read(Config(at + SizeField))))];
        Assert.Equal(
            [
                (CommonType, (byte)4, 0u, 0x1000u), (InterruptStatusType, (byte)4, 0x1000u, 0x1000u),
                (DeviceType, (byte)4, 0x2000u, 0x1000u), (NotifyType, (byte)4, 0x3000u, 0x1000u), (AccessType, (byte)0, 0u, 0u),
            ],
            found);
        int msix = Assert.Single(Capabilities(PciSpec.MsixCapability));
        Assert.Equal(1u, _pci.Read(Config(msix + 2), 2));
        Assert.Equal((1ul, 0x801ul), (_pci.Read(Config(msix + 4)), _pci.Read(Config(msix + 8))));
    }

    [Fact]
    public void VirtioPci_without_msix_interrupts_by_its_pin_until_the_status_is_read()
    {
        SetUp(msix: false);
        Ask(64);
        Assert.Equal([2], _pci.Pins);
        Assert.Equal(0u, _pci.Read(Structures + InterruptStatus + 4, 1));
        Assert.Equal(UsedBuffer, _pci.Read(Structures + InterruptStatus, 1));
        Assert.Empty(_pci.Pins);
        Assert.Equal(0u, _pci.Read(Structures + InterruptStatus, 1));
        Assert.Contains(Bytes(Buffer, 64), b => b != 0);
        Assert.All(Bytes(Buffer + 64, 64), b => Assert.Equal(0, b));
    }

    [Fact]
    public void VirtioPci_with_msix_sends_the_message_of_the_queue_and_keeps_one_that_is_masked()
    {
        SetUp(msix: true);
        Ask(16);
        Assert.Equal([(0x0808_0040ul, 0x77u, 0x10u)], _pci.Messages);
        Assert.Empty(_pci.Pins);
        _pci.Write(Msix + 16 + 12, 1);
        Ask(16);
        Assert.Single(_pci.Messages);
        Assert.Equal(2u, _pci.Read(Msix + 0x800));
        _pci.Write(Msix + 16 + 12, 0);
        Assert.Equal(2, _pci.Messages.Count);
        Assert.Equal(0u, _pci.Read(Msix + 0x800));

        // The whole function masked, and then no bus master.
        int msix = Capabilities(PciSpec.MsixCapability).Single();
        _pci.Write(Config(msix + 2), PciSpec.MsixEnable | PciSpec.MsixFunctionMask, 2);
        Ask(16);
        _pci.Write(Config(PciSpec.Command), PciSpec.CommandMemory, 2);
        _pci.Write(Config(msix + 2), PciSpec.MsixEnable, 2);
        Assert.Equal(2, _pci.Messages.Count);
        _pci.Write(Config(PciSpec.Command), PciSpec.CommandMemory | PciSpec.CommandMaster, 2);
        Assert.Equal(3, _pci.Messages.Count);
    }

    [Fact]
    public void VirtioPci_vector_that_there_is_not_reads_back_as_none()
    {
        SetUp(msix: true);
        _pci.Write(Structures + QueueMsixVector, 2, 2);
        Assert.Equal(NoVector, _pci.Read(Structures + QueueMsixVector, 2));
        Ask(16);
        Assert.Empty(_pci.Messages);
        _pci.Write(Structures + ConfigMsixVector, 1, 2);
        Assert.Equal(1u, _pci.Read(Structures + ConfigMsixVector, 2));
        _pci.Write(Structures + DeviceStatus, 0, 1);
        Assert.Equal(NoVector, _pci.Read(Structures + ConfigMsixVector, 2));
        Assert.Equal(0u, _pci.Read(Structures + DeviceStatus, 1));
        Assert.Equal(0u, _pci.Read(Structures + QueueEnable, 2));
    }

    [Fact]
    public void VirtioPci_addresses_of_queues_are_written_and_read_by_halves_or_whole()
    {
        Place();
        _pci.Write(Structures + QueueDescriptors, 0x1122_3344, 4);
        _pci.Write(Structures + QueueDescriptors + 4, 0x55, 4);
        Assert.Equal(0x55_1122_3344u, _pci.Read(Structures + QueueDescriptors, 8));
        _pci.Write(Structures + QueueDevice, 0x66_7788_9900, 8);
        Assert.Equal(0x7788_9900u, _pci.Read(Structures + QueueDevice));
        Assert.Equal(0x66u, _pci.Read(Structures + QueueDevice + 4));
        _pci.Write(Structures + QueueSelect, 1, 2);
        Assert.Equal(0u, _pci.Read(Structures + QueueSize, 2));
        Assert.Equal(0u, _pci.Read(Structures + QueueDevice, 8));
    }

    [Fact]
    public void VirtioPci_is_reached_through_configuration_space()
    {
        int access = Capabilities(PciSpec.VendorCapability).Last();
        _pci.Write(Config(access + BarField), 4, 1);
        _pci.Write(Config(access + OffsetField), NumQueues);
        _pci.Write(Config(access + SizeField), 2);
        Assert.Equal(1u, _pci.Read(Config(access + ExtraField), 2));
        _pci.Write(Config(access + OffsetField), DeviceStatus);
        _pci.Write(Config(access + SizeField), 1);
        _pci.Write(Config(access + ExtraField), 3, 1);
        Assert.Equal(VirtioStatus.Acknowledge | VirtioStatus.Driver, _rng.Status);
        _pci.Write(Config(access + OffsetField), uint.MaxValue);
        _pci.Write(Config(access + ExtraField), 0, 1);
        Assert.Equal(VirtioStatus.Acknowledge | VirtioStatus.Driver, _rng.Status);
    }

    [Fact]
    public void VirtioPci_loaded_goes_on_as_saved()
    {
        SetUp(msix: true);
        _pci.Write(Msix + 16 + 12, 1);
        Ask(16);
        using var stream = new MemoryStream();
        Archive.Save(stream, _function.StateUnits);
        using var other = new VirtioPciTests();
        _ram.Span(_ram.Start, 0x10_0000).CopyTo(other._ram.Span(other._ram.Start, 0x10_0000));
        stream.Position = 0;
        Archive.Load(stream, other._function.StateUnits);
        Assert.Equal(2u, other._pci.Read(Msix + 0x800));
        other._pci.Write(Msix + 16 + 12, 0);
        Assert.Single(other._pci.Messages);
        other._available = _available;
        other.Ask(16);
        Assert.Equal(2, other._pci.Messages.Count);
    }

    [Fact]
    public void VirtioPci_reset_is_as_at_power_on()
    {
        using var fresh = new VirtioPciTests();
        SetUp(msix: true);
        Ask(16);
        _function.Reset();
        Assert.Equal(fresh.Save(), Save());
    }

    public void Dispose() => _ram.Dispose();

    // Of the driver: the number of buffers made available.
    private ushort _available;

    private static ulong Config(int offset) => PciHarness.At(0, 2, offset);

    private byte[] Save()
    {
        using var stream = new MemoryStream();
        Archive.Save(stream, _function.StateUnits);
        return stream.ToArray();
    }

    private IEnumerable<int> Capabilities(byte id)
    {
        for (int at = (int)_pci.Read(Config(PciSpec.CapabilitiesPointer), 1); at != 0; at = (int)_pci.Read(Config(at + 1), 1))
        {
            if (_pci.Read(Config(at), 1) == id)
            {
                yield return at;
            }
        }
    }

    private void Place()
    {
        _pci.Write(Config(PciSpec.BaseAddress0 + 4), Msix);
        _pci.Write(Config(PciSpec.BaseAddress0 + 16), unchecked((uint)Structures));
        _pci.Write(Config(PciSpec.BaseAddress0 + 20), Structures >> 32);
        _pci.Write(Config(PciSpec.Command), PciSpec.CommandMemory | PciSpec.CommandMaster, 2);
    }

    private void SetUp(bool msix)
    {
        Place();
        foreach (ulong status in (ulong[])[0, 1, 3])
        {
            _pci.Write(Structures + DeviceStatus, status, 1);
        }

        _pci.Write(Structures + DeviceFeatureSelect, 1);
        Assert.Equal(1u, _pci.Read(Structures + DeviceFeature) & 1);
        _pci.Write(Structures + DriverFeatureSelect, 1);
        _pci.Write(Structures + DriverFeature, 1);
        _pci.Write(Structures + DeviceStatus, 0xB, 1);
        Assert.Equal(0xBu, _pci.Read(Structures + DeviceStatus, 1));
        if (msix)
        {
            _pci.Write(Config(Capabilities(PciSpec.MsixCapability).Single() + 2), PciSpec.MsixEnable, 2);
            _pci.Write(Msix + 16, 0x0808_0040, 8);
            _pci.Write(Msix + 16 + 8, 0x77, 8);
            _pci.Write(Structures + QueueMsixVector, 1, 2);
            Assert.Equal(1u, _pci.Read(Structures + QueueMsixVector, 2));
        }

        Assert.Equal(8u, _pci.Read(Structures + QueueSize, 2));
        _pci.Write(Structures + QueueDescriptors, Descriptors, 8);
        _pci.Write(Structures + QueueDriver, Available, 8);
        _pci.Write(Structures + QueueDevice, Used, 8);
        _pci.Write(Structures + QueueEnable, 1, 2);
        Assert.Equal(1u, _pci.Read(Structures + QueueEnable, 2));
        _pci.Write(Structures + DeviceStatus, 0xF, 1);
    }

    // Makes a buffer available, and lets the device fill it.
    private void Ask(uint length)
    {
        Span<byte> descriptor = stackalloc byte[16];
        BinaryPrimitives.WriteUInt64LittleEndian(descriptor, Buffer);
        BinaryPrimitives.WriteUInt32LittleEndian(descriptor[8..], length);
        BinaryPrimitives.WriteUInt16LittleEndian(descriptor[12..], 2);
        Assert.True(_pci.Bus.TryWrite(Descriptors, descriptor));
        _pci.Bus.TryStore(Available + 4 + ((ulong)(_available % 8) * 2), 0);
        _pci.Bus.TryStore(Available + 2, ++_available);
        _pci.Write(Structures + Notify, 0, 2);
        _rng.Serve();
        Assert.True(_pci.Bus.TryLoad(Used + 2, out ushort used));
        Assert.Equal(_available, used);
    }

    private byte[] Bytes(ulong address, int count) => _ram.Span(new GuestPhysicalAddress(address), count).ToArray();
}
