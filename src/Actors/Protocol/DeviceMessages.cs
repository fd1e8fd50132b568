namespace Vmm.Actors.Protocol;

/// <summary>Bytes from the terminal for the guest's serial line.</summary>
public sealed record SendSerial(byte[] Bytes) : IProtocolMessage;

/// <summary>Ask the guest to shut down, as a person at the machine would.</summary>
public sealed record PressPowerButton : IProtocolMessage;

/// <summary>Tell the guest, through the GED, to look for what has happened to its CPUs.</summary>
public sealed record AnnounceCpuEvent : IProtocolMessage;

/// <summary>
/// Bring the devices of the receiver to their power-on state, while no vCPU runs. Answer: <see cref="DevicesReset"/>, when that is done.
/// </summary>
public sealed record ResetDevices : IProtocolMessage;

/// <param name="Failure">Why the machine must not start, in one line; empty if it may.</param>
public sealed record DevicesReset(string Failure) : IProtocolMessage;

/// <summary>
/// Query, for a VM that does not run: the saved state of one device. Answer: <see cref="DeviceState"/> or <see cref="VmCommandRejected"/>.
/// </summary>
/// <param name="Device">The name on the board: gic, uart, rtc, ged, gpio, fw_cfg, cpu_hotplug, flash0 or flash1.</param>
public sealed record GetDeviceState(string Device) : IProtocolMessage;

/// <param name="Device">The name on the board, as in <see cref="GetDeviceState"/>.</param>
/// <param name="Bytes">An archive of the units of the device and its actor (Emulation's Archive).</param>
public sealed record DeviceState(string Device, byte[] Bytes) : IProtocolMessage;

/// <summary>
/// Put a device of a VM that does not run into a saved state. Answer: <see cref="DeviceStateLoaded"/> or <see cref="VmCommandRejected"/>. A
/// device that was rejected for its bytes (<see cref="RejectionCode.InvalidState"/>) must be reset.
/// </summary>
public sealed record LoadDeviceState(string Device, byte[] Bytes) : IProtocolMessage;

public sealed record DeviceStateLoaded(string Device) : IProtocolMessage;

/// <summary>
/// Put a device into a slot of the running machine. Answer: <see cref="HotplugAccepted"/> and later <see cref="HotplugOutcome"/>, or
/// <see cref="HotplugRejected"/>.
/// </summary>
/// <param name="Keys">The names of its properties, with <c>driver</c>.</param>
/// <param name="Values">Their values, in the form of the command line.</param>
public sealed record PlugDevice(string[] Keys, string[] Values) : IProtocolMessage;

/// <summary>Ask the guest to let a device go. Answers as for <see cref="PlugDevice"/>.</summary>
/// <param name="Id">Its name, or its path among QEMU's objects.</param>
public sealed record UnplugDevice(string Id) : IProtocolMessage;

/// <summary>Query: the PCI functions. Answer: <see cref="PciDevices"/>.</summary>
public sealed record GetPciDevices : IProtocolMessage;

/// <summary>The PCI functions of each bus in turn, in parallel arrays.</summary>
/// <param name="Buses">The number of the bus that each is on, as the guest has given it.</param>
/// <param name="Slots">Device and function: 8 bits.</param>
/// <param name="Parents">The index of the bridge that leads to its bus; -1 for the root bus.</param>
/// <param name="QomPaths">Its path among QEMU's objects; empty for the host bridge.</param>
/// <param name="Configurations">The first 64 bytes of its configuration space, one after the other.</param>
/// <param name="Regions">
/// The base address registers, one after the other: index of the function, number, 0 for memory, 1 for I/O, bit 1 for 64 bits and bit 2
/// for prefetchable; address, or -1 for not placed; size.
/// </param>
public sealed record PciDevices(
    int[] Buses, int[] Slots, int[] Parents, string[] QomPaths, byte[] Configurations, long[] Regions) : IProtocolMessage
{
    public const int ConfigurationSize = 64;
    public const int FieldsOfRegion = 5;
}
