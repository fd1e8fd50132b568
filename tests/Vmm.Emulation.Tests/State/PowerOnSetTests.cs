using Vmm.Acpi;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Boot;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Psci;
using Vmm.Emulation.Devices.VmGenId;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Tests.State;

/// <summary>A machine that loads another's state describes itself to the next boot as that one did.</summary>
public sealed class PowerOnSetTests
{
    private sealed class NoEvents : IPsciEvents
    {
        public void CpuOn(CpuIndex cpu, GuestPhysicalAddress entryPoint, ulong context)
        {
        }
    }

    private static VirtMachine Machine(int enabled, int disabled, bool onlineCapable, bool acpi = true) => new(
        new MachineConfig(
            CpuModel.Find("max")!, enabled, new CpuTopology(1, 1, 4, 1), 64 << 20, new BootConfig(new byte[64], null, ""))
        {
            DisabledCpus = disabled,
            ColdPluggedCpusOnlineCapable = onlineCapable,
            Acpi = acpi,
            DtbRandomness = false,
            Accelerator = Accelerator.Interpreter,
        }, new NoEvents());

    private static IReadOnlyList<SavedUnit> Save(VirtMachine machine) => [.. machine.StateUnits.Select(SavedUnit.Of)];

    private static string Description(VirtMachine machine) => Convert.ToHexString(
        [.. AcpiTables.Build(machine.Board, 0).Tables.SelectMany(t => t.Bytes.ToArray()), .. DeviceTree.Build(machine.Board, null)]);

    [Theory]
    [InlineData(1, 0, false, 2, 0, false)]
    [InlineData(2, 0, false, 1, 0, false)]
    [InlineData(1, 2, true, 3, 0, false)]
    [InlineData(3, 0, false, 1, 2, true)]
    [InlineData(2, 0, true, 2, 0, false)]
    [InlineData(2, 0, false, 2, 0, true)]
    [InlineData(1, 0, false, 4, 0, false, false)]
    public void Tables_and_tree_are_those_of_the_machine_that_was_saved(
        int enabled, int disabled, bool onlineCapable, int enabledHere, int disabledHere, bool onlineCapableHere, bool acpi = true)
    {
        using VirtMachine saved = Machine(enabled, disabled, onlineCapable, acpi);
        using VirtMachine here = Machine(enabledHere, disabledHere, onlineCapableHere, acpi);
        Assert.NotEqual(Description(saved), Description(here));
        here.PrepareLoad();
        Archive.Load(Save(saved), here.StateUnits);
        Assert.Equal(Description(saved), Description(here));
        Assert.Equal(PowerOnSet.Of(saved.Config), PowerOnSet.Of(here.Config));
        Assert.Equal(saved.Board.CpuHotplug.FixedCpus, here.Board.CpuHotplug.FixedCpus);
        Assert.Equal(Enumerable.Range(0, 4).Select(cpu => saved.Psci.IsEnabled(new CpuIndex(cpu))),
            Enumerable.Range(0, 4).Select(cpu => here.Psci.IsEnabled(new CpuIndex(cpu))));
        Assert.Equal(Description(saved), Description(here));
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(5, 0)]
    [InlineData(2, 3)]
    [InlineData(2, -1)]
    [InlineData(int.MaxValue, int.MaxValue)]
    public void Set_that_cannot_be_is_refused(int enabled, int disabled)
    {
        SavedUnit unit = SavedUnit.Of(new PowerOnUnit(4, () => new PowerOnSet(enabled, disabled, false), _ => { }));
        Assert.Contains("impossible value", Assert.Throws<StateException>(() => PowerOnUnit.Read([unit], 4)).Message);
    }

    [Fact]
    public void Generation_id_is_read_in_pieces_is_saved_and_changes_when_it_is_renewed()
    {
        var device = new VmGenId(null);
        Guid first = device.Id;
        byte[] bytes = [.. Enumerable.Range(0, 16).Select(i => (byte)device.Read((ulong)i, 1))];
        Assert.Equal(first.ToByteArray(), bytes);
        Assert.Equal(BitConverter.ToUInt64(bytes, 8), device.Read(8, 8));
        Assert.Equal(BitConverter.ToUInt32(bytes, 12), device.Read(12, 4));
        Assert.Equal(bytes[15], device.Read(15, 8));
        Assert.Equal(0ul, device.Read(16, 8));
        device.Write(0, 8, 0);
        device.Reset();
        Assert.Equal(first, device.Id);
        SavedUnit unit = SavedUnit.Of(device);
        device.Renew();
        Assert.NotEqual(first, device.Id);
        unit.LoadInto(device);
        Assert.Equal(first, device.Id);

        var given = new VmGenId(first);
        given.Renew();
        Assert.Equal(first, given.Id);
    }
}
