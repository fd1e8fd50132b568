using System.Globalization;
using System.Text;
using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Emulation;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Machine;

namespace Vmm.Host.Console;

/// <summary>The human monitor: one command line in, its text out, in QEMU's words.</summary>
/// <param name="config">The machine's.</param>
/// <param name="ask">Sends a query or command to the VM and gives its answer.</param>
/// <param name="quit">Ends the program.</param>
public sealed class Monitor(MachineConfig config, Func<IProtocolMessage, Task<IProtocolMessage>> ask, Action quit)
{
    private const string Suffix = "-arm-cpu";

    private const string Help = """
        device_add driver,id=name,core-id=n[,...]  plug a CPU, such as cortex-a57-arm-cpu,id=core4,core-id=4
        device_del name                            ask the guest to give a CPU back
        info cpus | hotpluggable-cpus | status     show the CPUs, the slots for CPUs, the run state
        info registers [n]                         show the registers of a CPU
        info jit                                   show what was translated, and what was left to the interpreter
        stop | cont                                stop and go on
        system_powerdown                           press the power button
        system_reset                               reset the machine
        quit                                       end the program
        """;

    /// <summary>Executes one line; the answer has no final line end and may be empty.</summary>
    public async Task<string> Execute(string line)
    {
        try
        {
            return await ExecuteCommand(line).ConfigureAwait(false);
        }
        catch (Exception e) when (e is TimeoutException or AskTimeoutException)
        {
            return "Error: the VM does not answer";
        }
        catch (RejectedException e)
        {
            return $"Error: {e.Message}";
        }
    }

    private sealed class RejectedException(string reason) : Exception(reason);

    // The answer to a query that can do nothing but answer, unless the VM is not able to.
    private async Task<T> Query<T>(IProtocolMessage query)
    {
        IProtocolMessage answer = await ask(query).ConfigureAwait(false);
        return answer is T expected ? expected : throw new RejectedException(answer is VmCommandRejected rejected ? rejected.Reason : "no answer");
    }

    private async Task<string> ExecuteCommand(string line)
    {
        string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        switch (words)
        {
            case []:
                return "";
            case ["help" or "?", ..]:
                return Help;
            case ["info", "cpus"]:
                return await InfoCpus().ConfigureAwait(false);
            case ["info", "hotpluggable-cpus"]:
                return await InfoHotpluggable().ConfigureAwait(false);
            case ["info", "status"]:
                var status = await Query<VmStatus>(new GetVmStatus()).ConfigureAwait(false);
                return $"VM status: {(status.RunState is VmRunState.Running or VmRunState.Paused ? status.RunState : $"paused ({status.RunState})")}"
                    + (status.Detail.Length == 0 ? "" : $"\n{status.Detail}");
            case ["info", "registers"]:
                return await InfoRegisters(0).ConfigureAwait(false);
            case ["info", "registers", string number] when int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int cpu):
                return await InfoRegisters(cpu).ConfigureAwait(false);
            case ["info", "jit"]:
                return await InfoJit().ConfigureAwait(false);
            case ["info", string what, ..]:
                return $"unknown command: 'info {what}'";
            case ["device_add", string device]:
                return await DeviceAdd(device).ConfigureAwait(false);
            case ["device_del", string id]:
                return await DeviceDel(id).ConfigureAwait(false);
            case ["stop"]:
                return Describe(await ask(new StopVm()).ConfigureAwait(false));
            case ["cont"]:
                return Describe(await ask(new ContinueVm()).ConfigureAwait(false));
            case ["system_reset"]:
                return Describe(await ask(new ResetVm()).ConfigureAwait(false));
            case ["system_powerdown"]:
                await ask(new PressPowerButton()).ConfigureAwait(false);
                return "";
            case ["quit" or "q"]:
                quit();
                return "";
            case ["device_add" or "device_del" or "info"]:
                return $"{words[0]}: arguments are missing; see help";
            default:
                return $"unknown command: '{words[0]}'";
        }
    }

    private static string Describe(IProtocolMessage answer) => answer switch
    {
        VmCommandRejected rejected => $"Error: {rejected.Reason}",
        HotplugRejected rejected => $"Error: {rejected.Reason}",
        VmStatus { RunState: VmRunState.InternalError } status => $"Error: {status.Detail}",
        _ => "",
    };

    private async Task<string> DeviceAdd(string device)
    {
        string[] parts = device.Split(',');
        string driver = parts[0];
        if (!driver.EndsWith(Suffix, StringComparison.Ordinal) || CpuModel.Find(driver[..^Suffix.Length]) is not { } model)
        {
            return $"Error: '{driver}' is not a valid device model name";
        }

        // `host` stands for the machine's own model, whatever it is.
        if (model.Name != config.Cpu.Name && model.Name != "host")
        {
            return $"Error: Invalid CPU type, expected cpu type: '{config.Cpu.Name}{Suffix}'";
        }

        string? id = null;
        var location = new Dictionary<string, int?>(StringComparer.Ordinal)
        {
            ["socket-id"] = null, ["cluster-id"] = null, ["core-id"] = null, ["thread-id"] = null,
        };
        foreach (string part in parts.Skip(1))
        {
            string[] pair = part.Split('=', 2);
            if (pair is ["id", string name] && name.Length > 0)
            {
                id = name;
            }
            else if (pair.Length == 2 && location.ContainsKey(pair[0]))
            {
                if (!int.TryParse(pair[1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value))
                {
                    return $"Error: Parameter '{pair[0]}' expects a number";
                }

                location[pair[0]] = value;
            }
            else
            {
                return $"Error: Property '{driver}.{pair[0]}' not found";
            }
        }

        return Locate(location, out int cpu) is { } error
            ? $"Error: {error}"
            : Describe(await ask(new PlugVcpu(id ?? $"cpu-{cpu}", cpu)).ConfigureAwait(false));
    }

    // QEMU wants every level that has more than one member; with one CPU per core, `core-id` alone may number all CPUs.
    private string? Locate(Dictionary<string, int?> given, out int cpu)
    {
        CpuTopology t = config.Topology;
        cpu = -1;
        int[] location = new int[4];
        (string Name, int Count)[] levels =
            [("socket-id", t.Sockets), ("cluster-id", t.Clusters), ("core-id", t.Cores), ("thread-id", t.Threads)];
        for (int i = 0; i < levels.Length; i++)
        {
            (string name, int count) = levels[i];
            if (given[name] is { } value)
            {
                if (value < 0 || value >= count)
                {
                    return $"Invalid {name} {value} specified, correct range 0:{count - 1}";
                }

                location[i] = value;
            }
            else if (count > 1)
            {
                return $"{name} is not set";
            }
        }

        cpu = t.IndexOf(new CpuLocation(location[0], location[1], location[2], location[3])).Value;
        return null;
    }

    private async Task<string> DeviceDel(string id)
    {
        // Cold-booted CPUs have no id of the user's; QEMU names them by their place.
        if (id.StartsWith("cpu-", StringComparison.Ordinal) && int.TryParse(id[4..], NumberStyles.None, CultureInfo.InvariantCulture, out int cpu)
            && cpu < config.EnabledCpus)
        {
            return cpu == 0
                ? $"Error: Boot CPU({config.Topology.Describe(new CpuIndex(0))}) hot-unplug not supported"
                : "Error: Hot-unplug of cold-booted CPU not supported!";
        }

        return Describe(await ask(new UnplugVcpu(id)).ConfigureAwait(false));
    }

    private async Task<string> InfoCpus()
    {
        var states = await Query<VcpuStates>(new GetVcpuStates()).ConfigureAwait(false);
        var lines = states.Names.Select((name, cpu) => (Name: name, Cpu: cpu)).Where(s => s.Name != "Disabled");
        return string.Join('\n', lines.Select(s => $"{(s.Cpu == 0 ? '*' : ' ')} CPU #{s.Cpu}: {s.Name}"));
    }

    private async Task<string> InfoHotpluggable()
    {
        var states = await Query<VcpuStates>(new GetVcpuStates()).ConfigureAwait(false);
        var plugged = await Query<PluggedVcpus>(new GetPluggedVcpus()).ConfigureAwait(false);
        var text = new StringBuilder("Hotpluggable CPUs:");
        for (int cpu = states.Names.Length - 1; cpu >= 0; cpu--)
        {
            CpuLocation at = config.Topology.Locate(new CpuIndex(cpu));
            text.Append(CultureInfo.InvariantCulture, $"\n  type: \"{config.Cpu.Name}{Suffix}\"\n  vcpus_count: \"1\"");
            int index = Array.IndexOf(plugged.Cpus, cpu);
            if (index >= 0)
            {
                text.Append(CultureInfo.InvariantCulture, $"\n  qom_path: \"/machine/peripheral/{plugged.Ids[index]}\"");
            }
            else if (states.Names[cpu] != "Disabled")
            {
                text.Append(CultureInfo.InvariantCulture, $"\n  qom_path: \"/machine/unattached/device[{cpu}]\"");
            }

            text.Append(CultureInfo.InvariantCulture, $"\n  CPUInstance Properties:\n    socket-id: \"{at.Socket}\"");
            text.Append(CultureInfo.InvariantCulture, $"\n    cluster-id: \"{at.Cluster}\"\n    core-id: \"{at.Core}\"\n    thread-id: \"{at.Thread}\"");
        }

        return text.ToString();
    }

    private async Task<string> InfoJit()
    {
        var jit = await Query<JitDescription>(new GetJitDescription()).ConfigureAwait(false);
        return jit.Text.Length == 0 ? "Error: JIT information is only available with accel=jit" : jit.Text;
    }

    private async Task<string> InfoRegisters(int cpu)
    {
        var registers = await Query<VcpuRegisters>(new GetVcpuRegisters(cpu)).ConfigureAwait(false);
        return registers.Text.Length == 0 ? "Error: CPU not found" : $"\nCPU#{cpu}\n{registers.Text}";
    }
}
