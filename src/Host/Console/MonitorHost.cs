using Serilog;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Devices.Virtio.Serial;
using Vmm.Host.Options;
using Vmm.Management.CharacterDevices;
using Vmm.Management.Commands;
using Vmm.Management.Control;
using Vmm.Management.Hmp;
using Vmm.Management.Qmp;

namespace Vmm.Host.Console;

/// <summary>The serial line, the ports of consoles and the monitors of one VM at the character devices of its command line.</summary>
public sealed class MonitorHost : IAsyncDisposable, IPortBackends
{
    private const string Terminal = "serial0";

    private readonly List<CharacterDevice> _devices = [];
    private readonly List<(CharacterDevice Device, bool Control, bool Pretty)> _monitors = [];
    private readonly List<OpenPort> _ports = [];
    private readonly HashSet<string> _used = new(StringComparer.Ordinal);
    private readonly Dictionary<string, CharacterDeviceOption> _chardevs;

    // Over the devices and the ports, which come and go while the VM runs.
    private readonly Lock _lock = new();
    private readonly List<Task> _running = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly Func<SerialConsole> _multiplex;
    private CharacterDevice _serial = new NullDevice(Terminal);
    private MonitorCommands? _commands;
    private QmpServer? _qmp;
    private HmpServer? _hmp;
    private CharacterDevice? _controlDevice;
    private ControlServer? _control;

    // `multiplex` makes a console with a monitor behind the escape key.
    private MonitorHost(SerialConsole console, Func<SerialConsole> multiplex, Dictionary<string, CharacterDeviceOption> chardevs) =>
        (Console, _multiplex, _chardevs) = (console, multiplex, chardevs);

    /// <summary>A port with its character device, and the console that it shares with a monitor (<c>mux=on</c>); null for none.</summary>
    private sealed record OpenPort(SerialPortConfig Port, CharacterDevice Device, SerialConsole? Console, CancellationTokenSource Stop);

    /// <summary>The guest's serial line.</summary>
    public SerialConsole Console { get; }

    /// <summary>Whether keys are typed at stdin: at a serial line or at a monitor for people, but not at QMP.</summary>
    public bool UsesTerminal => _serial is StdioDevice || _ports.Exists(p => p.Device is StdioDevice)
        || _monitors.Any(m => m is { Device: StdioDevice, Control: false });

    /// <summary>Opens all devices; nothing is served yet.</summary>
    /// <param name="options">The options of the command line.</param>
    /// <param name="config">The machine, whose consoles have ports.</param>
    /// <param name="quit">Called for Ctrl-A x.</param>
    /// <exception cref="OptionException">A device cannot be opened: one line.</exception>
    public static MonitorHost Open(RunOptions options, MachineConfig config, Action quit)
    {
        Dictionary<string, CharacterDeviceOption> chardevs = Chardevs(options);
        CharacterDeviceOption serial = Resolve(options.Serial ?? DefaultSerial(options, chardevs), chardevs);
        var host = new MonitorHost(
            new SerialConsole(serial.Multiplexed, quit, options.EscapeKey),
            () => new SerialConsole(multiplexed: true, quit, options.EscapeKey), chardevs);
        try
        {
            host.OpenAll(options, config, serial);
            return host;
        }
        catch (Exception e) when (e is OptionException or CharacterDeviceException)
        {
            host.DisposeDevices().AsTask().GetAwaiter().GetResult();
            throw new OptionException(e.Message);
        }
    }

    /// <summary>Serves all devices.</summary>
    /// <param name="vm">The VM.</param>
    /// <param name="sendToGuest">Takes the input of the serial line.</param>
    public void Start(MonitorVm vm, Action<byte[]> sendToGuest)
    {
        var commands = new MonitorCommands(vm, () =>
        {
            lock (_lock)
            {
                return [.. _devices];
            }
        });
        _qmp = _monitors.Any(m => m.Control) ? new QmpServer(QmpCommands.Create(
            commands, (line, cpu) => HmpMonitor.ExecuteAlone(commands, line, cpu))) : null;
        _hmp = new HmpServer(commands);
        Console.Connect(commands, sendToGuest);
        Run(Console.RunAsync(_serial, _stop.Token));
        lock (_lock)
        {
            _commands = commands;
            _ports.ForEach(Serve);
        }

        foreach ((CharacterDevice device, bool control, bool pretty) in _monitors)
        {
            Run(control ? _qmp!.RunAsync(device, pretty, _stop.Token) : _hmp.RunAsync(device, _stop.Token));
        }

        if (_controlDevice != null)
        {
            _control = new ControlServer(vm);
            Run(_control.RunAsync(_controlDevice, _stop.Token));
        }
    }

    public void Attach(SerialPortConfig port)
    {
        lock (_lock)
        {
            try
            {
                OpenPortOf(port);
            }
            catch (CharacterDeviceException e)
            {
                throw new OptionException(e.Message);
            }

            if (_commands != null)
            {
                Serve(_ports[^1]);
            }
        }
    }

    public void Detach(SerialPortConfig port)
    {
        OpenPort? open;
        lock (_lock)
        {
            open = _ports.Find(p => p.Port == port);
            if (open == null)
            {
                return;
            }

            _ports.Remove(open);
            _devices.Remove(open.Device);
        }

        // Its name is free when it is closed: a listener would be in the way of the next one.
        Task.Run(() => CloseAsync(open)).GetAwaiter().GetResult();
    }

    private async Task CloseAsync(OpenPort open)
    {
        await open.Stop.CancelAsync().ConfigureAwait(false);
        await open.Device.DisposeAsync().ConfigureAwait(false);
        open.Stop.Dispose();
        lock (_lock)
        {
            _used.Remove(NameInUse(open.Port.Backend));
        }
    }

    private void Serve(OpenPort open)
    {
        (PortLink link, CancellationToken stop) = (open.Port.Link, open.Stop.Token);
        if (open.Console is not { } console)
        {
            Run(PortServer.RunAsync(open.Device, link, stop));
            return;
        }

        // Keys wait for the guest, and so do those for the monitor behind them, as in QEMU.
        console.Connect(_commands!, keys => link.WriteAsync(keys, stop).GetAwaiter().GetResult());
        Run(console.RunAsync(open.Device, stop));
        Run(PortServer.ListenAsync(link, console.Write, stop));
    }

    private void Run(Task serving) => _running.Add(Watch(serving));

    // A monitor that fails ends neither the others nor the VM.
    private static async Task Watch(Task serving)
    {
        try
        {
            await serving.ConfigureAwait(false);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            Log.Error(e, "A character device is no longer served");
        }
        catch (OperationCanceledException)
        {
            // The program ends.
        }
    }

    /// <summary>Waits for the first client of each device that was opened with wait=on.</summary>
    public Task WaitForClientsAsync() => Task.WhenAll(_devices.Select(d => d.WaitForClientAsync(_stop.Token)));

    /// <summary>Tells the monitors for people how a plug or unplug ended. Any thread.</summary>
    public void Report(HotplugOutcome outcome)
    {
        Console.Report(outcome);
        lock (_lock)
        {
            _ports.ForEach(p => p.Console?.Report(outcome));
        }

        _hmp?.Report(outcome);
    }

    /// <summary>Passes what the VM publishes to programs that listen. Any thread.</summary>
    public void Publish(IProtocolMessage happened)
    {
        _qmp?.Publish(happened);
        _control?.Publish(happened);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);

        // Output that is still queued gets a moment. Reading from a terminal would not end by itself.
        await Task.WhenAny(Task.WhenAll(_running), Task.Delay(TimeSpan.FromSeconds(2))).ConfigureAwait(false);
        await DisposeDevices().ConfigureAwait(false);
        _stop.Dispose();
    }

    private async ValueTask DisposeDevices()
    {
        foreach (CharacterDevice device in _devices)
        {
            await device.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static Dictionary<string, CharacterDeviceOption> Chardevs(RunOptions options)
    {
        var chardevs = new Dictionary<string, CharacterDeviceOption>(StringComparer.Ordinal);
        foreach (CharacterDeviceOption chardev in options.Chardevs)
        {
            if (!chardevs.TryAdd(chardev.Id, chardev))
            {
                throw new OptionException($"-chardev: Duplicate ID '{chardev.Id}' for chardev");
            }
        }

        return chardevs;
    }

    // The serial line is at the terminal, unless a monitor is.
    private static CharacterDeviceOption DefaultSerial(RunOptions options, Dictionary<string, CharacterDeviceOption> chardevs) =>
        options.Monitors.Any(m => Resolve(m.Device, chardevs).Kind == CharacterDeviceKind.Stdio)
            ? new CharacterDeviceOption(CharacterDeviceKind.Null)
            : new CharacterDeviceOption(CharacterDeviceKind.Stdio, Multiplexed: true);

    private static CharacterDeviceOption Resolve(CharacterDeviceOption device, Dictionary<string, CharacterDeviceOption> chardevs)
    {
        if (device.Kind != CharacterDeviceKind.Reference)
        {
            return device;
        }

        return chardevs.TryGetValue(device.Id, out CharacterDeviceOption? found)
            ? found with { Multiplexed = found.Multiplexed || device.Multiplexed }
            : throw new OptionException($"chardev \"{device.Id}\" not found");
    }

    private void OpenAll(
        RunOptions options, MachineConfig config, CharacterDeviceOption serial)
    {
        _serial = OpenOne(serial, Terminal);
        foreach (SerialPortConfig port in config.VirtioDevices.OfType<VirtioSerialConfig>().SelectMany(d => d.Ports)
            .Where(p => p.Backend.Length > 0))
        {
            OpenPortOf(port);
        }

        int count = 0;
        foreach (MonitorTarget monitor in options.Monitors)
        {
            CharacterDeviceOption device = Resolve(monitor.Device, _chardevs);

            // A multiplexed device that -mon and the serial line, or a port, name has the monitor behind Ctrl-A c.
            bool isShared = (device.Id.Length > 0 && device.Id == serial.Id && serial.Multiplexed)
                || _ports.Exists(p => p.Console != null && p.Port.Backend == device.Id);
            if (device.Kind != CharacterDeviceKind.Null && !(isShared && !monitor.Control))
            {
                _monitors.Add((OpenOne(device, $"compat_monitor{count++}"), monitor.Control, monitor.Pretty));
            }
        }

        _controlDevice = options.Control == null ? null : OpenOne(options.Control, "control");
    }

    private void OpenPortOf(SerialPortConfig port)
    {
        CharacterDeviceOption device = Resolve(new CharacterDeviceOption(CharacterDeviceKind.Reference, port.Backend), _chardevs);
        _ports.Add(new OpenPort(
            port, OpenOne(device, port.Backend), device.Multiplexed ? _multiplex() : null,
            CancellationTokenSource.CreateLinkedTokenSource(_stop.Token)));
    }

    private static string NameInUse(string chardev) => $"chardev {chardev}";

    private CharacterDevice OpenOne(CharacterDeviceOption option, string label)
    {
        if (option.Id.Length > 0 && !_used.Add(NameInUse(option.Id)))
        {
            throw new OptionException($"Device '{option.Id}' is in use");
        }

        label = option.Id.Length > 0 ? option.Id : label;
        if (option.Kind == CharacterDeviceKind.Stdio && !_used.Add("stdio"))
        {
            throw new OptionException("cannot use stdio by multiple character devices");
        }

        CharacterDevice device = option.Kind switch
        {
            CharacterDeviceKind.Stdio => new StdioDevice(label, RawTerminal.OpenInput(), System.Console.OpenStandardOutput()),
            CharacterDeviceKind.File => new FileDevice(label, option.Path, option.Append),
            CharacterDeviceKind.Socket => new SocketDevice(label, option.Target!),
            _ => new NullDevice(label),
        };
        _devices.Add(device);
        return device;
    }
}
