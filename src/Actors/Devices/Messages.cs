using Vmm.Emulation.Boards;
using Vmm.Emulation.Devices.Virtio.Serial;

namespace Vmm.Actors.Devices;

/// <summary>
/// The vCPUs stand still: those devices that work by themselves are to end what is under way, flush, and begin nothing new until
/// <see cref="ResumeDevices"/>. Answer: <see cref="DevicesPaused"/>, when all of them have.
/// </summary>
/// <param name="Close">Another process is to go on with the guest: what it needs is closed.</param>
/// <param name="Round">Numbers the pauses between the devices' manager and a device, whose answer repeats it.</param>
public sealed record PauseDevices(bool Close, int Round = 0);

public sealed record DevicesPaused(int Round);

/// <summary>The VM runs: devices go on, and open what they had closed.</summary>
public sealed record ResumeDevices;

/// <summary>A disk tells the VM that it cannot go on before somebody helps: the VM stops (<c>io-error</c>).</summary>
public sealed record DiskStopped;

/// <summary>
/// To the manager of devices: a device has been put into the machine. Answer: <see cref="DeviceStarted"/>, when it has its actor.
/// </summary>
internal sealed record StartDevice(PlacedDevice Device);

internal sealed record DeviceStarted(PlacedDevice Device);

/// <summary>To the manager of devices, for a console: a port comes. Answer: <see cref="PortPlugged"/>.</summary>
internal sealed record PlugPort(PlacedDevice Console, SerialPortConfig Port);

/// <param name="Refusal">Why it cannot come; null where it has.</param>
internal sealed record PortPlugged(SerialPortConfig Port, string? Refusal);

/// <summary>To the manager of devices, for a console: a port goes. Answer: <see cref="PortUnplugged"/>.</summary>
internal sealed record UnplugPort(PlacedDevice Console, SerialPortConfig Port);

internal sealed record PortUnplugged(SerialPortConfig Port);

/// <summary>To the manager of devices: a device has left its bus. Answer: <see cref="DeviceEnded"/>, when its actor is no more.</summary>
internal sealed record EndDevice(PlacedDevice Device);

internal sealed record DeviceEnded(PlacedDevice Device);
