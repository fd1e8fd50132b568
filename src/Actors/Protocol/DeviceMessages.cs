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
