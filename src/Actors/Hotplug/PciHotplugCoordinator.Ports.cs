using Akka.Actor;
using Vmm.Actors.Devices;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Devices.Virtio.Serial;

namespace Vmm.Actors.Hotplug;

/// <content>
/// Ports of consoles, which come and go by the console's own messages to its driver. The guest need not answer, as in QEMU: a request ends
/// when the console's actor has carried it out.
/// </content>
public sealed partial class PciHotplugCoordinator
{
    // Requests under way, of which a port has at most one: who has asked, and the console.
    private readonly Dictionary<SerialPortConfig, (HotplugOperation Operation, IActorRef Requester, PlacedDevice Console)> _ports = [];

    private (PlacedDevice Console, SerialPortConfig Port)? FindPort(string id)
    {
        (PlacedDevice Console, SerialPortConfig Port) found = DeviceReport.PortsOf(_machine.Devices)
            .FirstOrDefault(p => p.Port.Id.Length > 0 && (id == p.Port.Id || id == DeviceReport.PathOf(p.Port.Id)));
        return found.Port == null ? null : found;
    }

    private void PlugPort(PlacedDevice console, SerialPortConfig port)
    {
        if (port.Id.Length > 0 && (_machine.Devices.Any(d => d.QomPath == DeviceReport.PathOf(port.Id))
            || _ports.Keys.Any(p => p.Id == port.Id)))
        {
            _maker.Left(port);
            throw new InvalidDataException($"Duplicate device ID '{port.Id}'");
        }

        _ports.Add(port, (HotplugOperation.Plug, Sender, console));
        _devices.Tell(new PlugPort(console, port));
    }

    private void UnplugPort(PlacedDevice console, SerialPortConfig port)
    {
        if (_ports.TryAdd(port, (HotplugOperation.Unplug, Sender, console)))
        {
            Sender.Tell(new HotplugAccepted(port.Id, -1));
            _devices.Tell(new UnplugPort(console, port));
        }
        else
        {
            Sender.Tell(new HotplugRejected(
                port.Id, RejectionCode.InProgress, $"Device {port.Id} is already in the process of unplug"));
        }
    }

    private void PortHasCome(PortPlugged plugged)
    {
        if (plugged.Refusal is { } why)
        {
            RefusePort(plugged.Port, why);
        }
        else if (_ports.TryGetValue(plugged.Port, out var request))
        {
            request.Requester.Tell(new HotplugAccepted(plugged.Port.Id, -1));
            EndPort(plugged.Port, HotplugOutcomeKind.Done);
        }
    }

    private void PortHasGone(SerialPortConfig port)
    {
        if (_ports.ContainsKey(port))
        {
            _maker.Left(port);
            EndPort(port, HotplugOutcomeKind.Done);
        }
    }

    // The console has left, and its ports with it. Its actor answers no more.
    private void ForgetPorts(PlacedDevice console)
    {
        SerialPortConfig[] there = [.. DeviceReport.PortsOf([console]).Select(p => p.Port).Where(p => !_ports.ContainsKey(p))];
        foreach ((SerialPortConfig port, var request) in _ports.Where(p => p.Value.Console == console).ToArray())
        {
            if (request.Operation == HotplugOperation.Plug)
            {
                RefusePort(port, "The console has left");
            }
            else
            {
                PortHasGone(port);
            }
        }

        foreach (SerialPortConfig port in there)
        {
            _maker.Left(port);
            Context.System.EventStream.Publish(PortOutcome(port, HotplugOperation.Unplug, HotplugOutcomeKind.Done));
        }
    }

    private void RefusePort(SerialPortConfig port, string why)
    {
        if (_ports.Remove(port, out var request))
        {
            _maker.Left(port);
            request.Requester.Tell(new HotplugRejected(port.Id, RejectionCode.InvalidArgument, why));
            AnswerFreeze();
        }
    }

    private void EndPort(SerialPortConfig port, HotplugOutcomeKind kind)
    {
        if (_ports.Remove(port, out var request))
        {
            HotplugOutcome outcome = PortOutcome(port, request.Operation, kind);
            request.Requester.Tell(outcome);
            Context.System.EventStream.Publish(outcome);
            AnswerFreeze();
        }
    }

    private static HotplugOutcome PortOutcome(SerialPortConfig port, HotplugOperation operation, HotplugOutcomeKind kind) =>
        new(port.Id, -1, operation, kind, 0, DeviceReport.PathOf(port.Id));
}
