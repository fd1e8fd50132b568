namespace Vmm.Emulation.Devices.Virtio.Serial;

/// <summary>Numbers of the console device (Virtual I/O Device 1.2, section 5.3).</summary>
internal static class VirtioSerialSpec
{
    // Features.
    public const ulong ManyPorts = 1 << 1;
    public const ulong EmergencyWrite = 1 << 2;

    // The configuration space: columns[2] rows[2] ports[4] emergency character[4].
    public const int Ports = 4;
    public const int EmergencyCharacter = 8;
    public const int ConfigurationSize = 12;

    // Queues: port 0, control, the other ports; of each one to the driver and one from it.
    public const int ControlIn = 2;
    public const int ControlOut = 3;
    public const int QueueSize = 128;
    public const int ControlQueueSize = 32;

    // Control messages: port[4] event[2] value[2].
    public const int ControlSize = 8;
    public const int ControlEvent = 4;
    public const int ControlValue = 6;
    public const ushort DeviceReady = 0;
    public const ushort PortAdd = 1;
    public const ushort PortRemove = 2;
    public const ushort PortReady = 3;
    public const ushort ConsolePort = 4;
    public const ushort PortOpen = 6;
    public const ushort PortName = 7;

    public static int QueueIn(int port) => port == 0 ? 0 : (port * 2) + 2;

    public static int QueueOut(int port) => QueueIn(port) + 1;
}
