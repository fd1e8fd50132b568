using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Machine;
using Vmm.Host.Monitor.Qapi;

namespace Vmm.Host.Monitor;

/// <summary>The VM as monitor commands see it: what it is made of, and questions to its actors.</summary>
/// <param name="config">The machine's.</param>
/// <param name="ask">Sends a query or command to the VM and gives its answer.</param>
/// <param name="quit">Ends the program.</param>
public sealed class MonitorVm(MachineConfig config, Func<IProtocolMessage, Task<IProtocolMessage>> ask, Action quit)
{
    public MachineConfig Config => config;

    /// <summary>Ends the program in good order; returns before that.</summary>
    public void Quit() => quit();

    /// <summary>The answer to a command or query.</summary>
    /// <exception cref="QapiException">The VM rejects it, or does not answer.</exception>
    public async Task<T> Ask<T>(IProtocolMessage message)
        where T : IProtocolMessage
    {
        IProtocolMessage answer;
        try
        {
            answer = await ask(message).ConfigureAwait(false);
        }
        catch (Exception e) when (e is TimeoutException or AskTimeoutException)
        {
            throw new QapiException("the VM does not answer");
        }

        return answer switch
        {
            T expected => expected,
            VmCommandRejected rejected => throw new QapiException(rejected.Reason),
            HotplugRejected rejected => throw new QapiException(rejected.Reason, IsNotFound(rejected.Reason) ? QapiErrorClass.DeviceNotFound : QapiErrorClass.GenericError),
            _ => throw new QapiException($"the VM answered with {answer.GetType().Name}"),
        };
    }

    /// <summary>Guest memory; fewer bytes than asked for where there is no more.</summary>
    /// <param name="cpu">The CPU whose translation tables are used; -1 for physical addresses.</param>
    public async Task<byte[]> ReadMemory(int cpu, ulong address, int length) =>
        (await Ask<GuestMemoryRead>(new ReadGuestMemory(cpu, address, length)).ConfigureAwait(false)).Bytes;

    private static bool IsNotFound(string reason) => reason.StartsWith("Device '", StringComparison.Ordinal) && reason.EndsWith("' not found", StringComparison.Ordinal);
}
