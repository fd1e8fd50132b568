using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.InterruptController;
using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.VmGenId;
using Vmm.Emulation.Tests.Devices.Pci;
using Vmm.Emulation.Tests.Gic;

namespace Vmm.Emulation.Tests.Devices;

/// <summary>Whoever adds the core of a device derives a test of it from <see cref="DeviceFixture"/>.</summary>
public sealed class DeviceFixtureTests
{
    // Of cores that are seen through another object in their fixture: which test it is.
    private static readonly Dictionary<Type, Type> s_elsewhere = new()
    {
        [typeof(GicV3Device)] = typeof(GicFixtureTests),
        [typeof(ItsDevice)] = typeof(ItsTests),
        [typeof(PciHost)] = typeof(PciHostTests),
        [typeof(PciHostFunction)] = typeof(PciHostTests),
    };

    // Their state is what no access and no reset changes.
    private static readonly Type[] s_without = [typeof(VmGenId), typeof(GicV2mFrame)];

    [Fact]
    public void Every_device_core_is_in_the_shared_fixture()
    {
        var tested = new HashSet<Type>(s_without);
        foreach (Type type in typeof(DeviceFixture).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(DeviceFixture)) && !t.IsAbstract))
        {
            var fixture = (DeviceFixture)Activator.CreateInstance(type)!;
            tested.Add(fixture.Create().Device.GetType());
            tested.UnionWith(s_elsewhere.Where(e => e.Value == type).Select(e => e.Key));
            (fixture as IDisposable)?.Dispose();
        }

        Assert.Empty(typeof(IDevice).Assembly.GetTypes()
            .Where(t => !t.IsAbstract && (t.IsAssignableTo(typeof(IDevice)) || t.IsSubclassOf(typeof(VirtioDevice))))
            .Except(tested).Select(t => t.Name));
    }
}
