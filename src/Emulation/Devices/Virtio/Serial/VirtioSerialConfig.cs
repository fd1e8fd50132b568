using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Devices.Virtio.Serial;

/// <summary>A port of a virtio console.</summary>
/// <param name="Id">The name that the user gave the device (<c>id=</c>); empty for none.</param>
/// <param name="Number">Its place (<c>nr=</c>).</param>
/// <param name="Name">Its name for the guest (<c>name=</c>), under which udev has it; empty for none.</param>
/// <param name="IsConsole">Whether the guest has a terminal on it (<c>virtconsole</c>: hvc0 …).</param>
/// <param name="Backend">The character device at the host's end (<c>chardev=</c>); empty for none.</param>
public sealed record SerialPortConfig(string Id, int Number, string Name, bool IsConsole, string Backend)
{
    /// <summary>The name of its type, as in <c>-device</c>.</summary>
    public string Driver => IsConsole ? "virtconsole" : "virtserialport";

    /// <summary>Whether it came while the machine ran.</summary>
    public bool IsHotplugged { get; init; }

    /// <summary>The way to the host's end.</summary>
    public PortLink Link { get; } = new();
}

/// <summary>A console device of the command line, which has ports.</summary>
/// <param name="PortCount">How many ports there may be (<c>max_ports=</c>).</param>
public sealed record VirtioSerialConfig(string Id, int PortCount, IReadOnlyList<SerialPortConfig> Ports) : VirtioConfig(Id)
{
    public override string TypeName => "virtio-serial";

    /// <summary>As QEMU has it.</summary>
    public const int MostPorts = 31;

    /// <summary>What rings it offers.</summary>
    public VirtioFeatures Rings { get; init; } = VirtioFeatures.IndirectDescriptors | VirtioFeatures.EventIndex;

    public override VirtioDevice Make(IDmaMemory memory) => new VirtioSerial(memory, this);
}
