using Vmm.Emulation.State;

namespace Vmm.Emulation.Boards;

/// <summary>
/// The CPUs that a machine has at power-on, which the MADT or the device tree of each boot tells the guest: first enabled ones, then
/// disabled ones.
/// </summary>
/// <param name="Enabled">The number of enabled ones; at least 1.</param>
/// <param name="Disabled">The number of those that the administrator has disabled.</param>
/// <param name="OnlineCapable">Whether enabled ones but the boot CPU can leave (<c>-machine online-capable-cpus=on</c>).</param>
public sealed record PowerOnSet(int Enabled, int Disabled, bool OnlineCapable)
{
    public static PowerOnSet Of(MachineConfig config) => new(config.EnabledCpus, config.DisabledCpus, config.ColdPluggedCpusOnlineCapable);

    /// <summary>As options of the command line.</summary>
    public override string ToString() =>
        $"-smp cpus={Enabled}{(Disabled > 0 ? $",disabledcpus={Disabled}" : "")}"
        + (OnlineCapable ? " -machine online-capable-cpus=on" : "");
}

/// <summary>
/// The saved form of the CPUs of power-on. A machine that goes on from the state of another takes them from it, until its end: which CPUs
/// can leave was told to the guest when it booted, and it finds the same when it boots again.
/// </summary>
/// <param name="possible">How many CPUs the machine can have.</param>
/// <param name="current">The set to save.</param>
/// <param name="adopt">Takes a set that was loaded.</param>
public sealed class PowerOnUnit(int possible, Func<PowerOnSet> current, Action<PowerOnSet> adopt) : IStateUnit
{
    private const string Name = "power-on";

    public string Id => Name;

    /// <summary>The set among saved units.</summary>
    /// <param name="possible">How many CPUs the machine can have.</param>
    /// <exception cref="StateException">It is not there, or cannot be.</exception>
    public static PowerOnSet Read(IEnumerable<SavedUnit> units, int possible)
    {
        PowerOnSet? found = null;
        SavedUnit unit = units.FirstOrDefault(u => u.Id == Name) ?? throw new StateException($"the archive has no unit '{Name}'");
        unit.LoadInto(new PowerOnUnit(possible, () => found!, set => found = set));
        return found!;
    }

    public void Save(StateWriter writer)
    {
        (int enabled, int disabled, bool onlineCapable) = current();
        writer.Write("enabled", enabled);
        writer.Write("disabled", disabled);
        writer.Write("online-capable", onlineCapable);
    }

    public void Load(StateReader reader)
    {
        int enabled = reader.Read<int>("enabled");
        int disabled = reader.Read<int>("disabled");
        byte onlineCapable = reader.Read<byte>("online-capable");
        reader.Require(enabled >= 1 && enabled <= possible, "enabled");
        reader.Require(disabled >= 0 && disabled <= possible - enabled, "disabled");
        reader.Require(onlineCapable <= 1, "online-capable");
        adopt(new PowerOnSet(enabled, disabled, onlineCapable != 0));
    }
}
