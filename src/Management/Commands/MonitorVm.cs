using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

/// <summary>The VM as commands see it: its configuration, and questions to its actors.</summary>
/// <param name="config">The configuration of the machine as it is now: its CPUs at power-on change when another state is loaded.</param>
/// <param name="ask">Sends a query or command to the VM and gives its answer.</param>
/// <param name="quit">Ends the program.</param>
public sealed class MonitorVm(Func<MachineConfig> config, Func<IProtocolMessage, Task<IProtocolMessage>> ask, Action quit)
{
    /// <summary>A VM whose configuration stays as it is.</summary>
    public MonitorVm(MachineConfig config, Func<IProtocolMessage, Task<IProtocolMessage>> ask, Action quit)
        : this(() => config, ask, quit)
    {
    }

    public MachineConfig Config => config();

    /// <summary>
    /// Whether the program ends when a migration that comes to it fails. A monitor sets it before it asks for such a migration; who hears
    /// of the failure reads it, and the messages between the two order both.
    /// </summary>
    public bool ExitsOnFailedMigration { get; set; } = true;

    /// <summary>Begins to end the program in good order, and returns at once.</summary>
    public void Quit() => quit();

    /// <summary>
    /// Sends a request to plug, unplug, enable or disable a CPU, and gives its outcome or its rejection. Null if this monitor cannot wait
    /// for an outcome.
    /// </summary>
    public Func<IProtocolMessage, Task<IProtocolMessage>>? Outcomes { get; init; }

    /// <summary>Sends a command or query to the VM and returns the answer.</summary>
    /// <exception cref="QapiException">The VM rejects it, or does not answer.</exception>
    public Task<T> Ask<T>(IProtocolMessage message)
        where T : IProtocolMessage => Expect<T>(ask, message);

    /// <summary>Sends a request to plug, unplug, enable or disable a CPU and returns its outcome.</summary>
    /// <exception cref="QapiException">The VM rejects it, or this monitor cannot wait for an outcome.</exception>
    public Task<HotplugOutcome> AskOutcome(IProtocolMessage request) =>
        Outcomes == null ? throw new QapiException("how it ends cannot be waited for here") : Expect<HotplugOutcome>(Outcomes, request);

    /// <summary>
    /// Sends a request of any kind, and gives the answer as it is, a rejection, too; where the guest has a part in it, how it ended.
    /// </summary>
    public Task<IProtocolMessage> AskEnd(IProtocolMessage request) =>
        request is not (PlugVcpu or UnplugVcpu or SetVcpuAdmin or PlugDevice or UnplugDevice) ? ask(request)
        : Outcomes?.Invoke(request) ?? throw new QapiException("how it ends cannot be waited for here");

    private static async Task<T> Expect<T>(Func<IProtocolMessage, Task<IProtocolMessage>> send, IProtocolMessage message)
        where T : IProtocolMessage
    {
        try
        {
            return Expected<T>(await send(message).ConfigureAwait(false));
        }
        catch (TimeoutException)
        {
            // Only a VM in another process can be so silent. A request that it has received may still be carried out.
            throw new QapiException("the VM does not answer");
        }
    }

    private static T Expected<T>(IProtocolMessage answer)
        where T : IProtocolMessage
    {
        return answer switch
        {
            T expected => expected,
            VmCommandRejected rejected => throw new QapiException(rejected.Reason, ClassOf(rejected.Code)),
            HotplugRejected rejected => throw new QapiException(rejected.Reason, ClassOf(rejected.Code)),
            _ => throw new QapiException($"the VM answered with {answer.GetType().Name}"),
        };
    }

    /// <summary>Reads guest memory. The array is shorter than asked for if memory ends before.</summary>
    /// <param name="cpu">The CPU whose translation tables are used; -1 for physical addresses.</param>
    public async Task<byte[]> ReadMemory(int cpu, ulong address, int length) =>
        (await Ask<GuestMemoryRead>(new ReadGuestMemory(cpu, address, length)).ConfigureAwait(false)).Bytes;

    private static QapiErrorClass ClassOf(RejectionCode code) =>
        code == RejectionCode.DeviceNotFound ? QapiErrorClass.DeviceNotFound
        : code == RejectionCode.DeviceNotActive ? QapiErrorClass.DeviceNotActive : QapiErrorClass.GenericError;
}
