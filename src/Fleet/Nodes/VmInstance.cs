using Vmm.Actors.Protocol;
using Vmm.Fleet.Isolation;
using Vmm.Management.Control;

namespace Vmm.Fleet.Nodes;

/// <summary>A running process of a VM, and the connection to its control socket.</summary>
internal sealed record VmInstance(VmProcess Process, ControlClient Client) : IVmLink
{
    private static readonly TimeSpan s_retry = TimeSpan.FromMilliseconds(20);

    /// <summary>Starts a VM's process and waits until it answers.</summary>
    /// <param name="confinement">What it may reach.</param>
    /// <param name="happened">Takes what the VM publishes, in order.</param>
    /// <exception cref="IOException">It has ended before, or cannot be started: one line that says why.</exception>
    /// <exception cref="TimeoutException">It does not answer; it was killed.</exception>
    /// <exception cref="OperationCanceledException">It was killed because <paramref name="stop"/> came first.</exception>
    public static async Task<VmInstance> StartAsync(
        NodeSettings settings, VmFolder folder, IReadOnlyList<string> command, VmConfinement confinement,
        Action<IProtocolMessage> happened, CancellationToken stop)
    {
        // One of a VM before it would be listened at by nobody.
        File.Delete(folder.Control);
        var process = VmProcess.Launch(folder, command, confinement);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(settings.StartLimit);
        try
        {
            return await ConnectAsync(folder, process, happened, limit.Token).ConfigureAwait(false)
                ?? throw new IOException(
                    $"the VM has ended with exit code {await process.Ended.ConfigureAwait(false)}: "
                    + (folder.Cgroup?.WhyKilled() ?? folder.LastLine()));
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            await process.Ended.ConfigureAwait(false);
            stop.ThrowIfCancellationRequested();
            throw new TimeoutException($"the VM's process did not answer in {settings.StartLimit.TotalSeconds:F0} s, and was killed");
        }
    }

    /// <summary>
    /// The VM's process, if there is one, with a connection to it: that of an earlier run of the node, or one whose connection was lost. It
    /// is waited for as long as the process is there.
    /// </summary>
    public static async Task<VmInstance?> FindAsync(VmFolder folder, Action<IProtocolMessage> happened, CancellationToken stop)
    {
        if (VmProcess.Find(folder) is { } noted)
        {
            return await ConnectAsync(folder, noted, happened, stop).ConfigureAwait(false);
        }

        // The node may have ended between the start of a process and the note of it.
        try
        {
            ControlClient client = await ControlClient.ConnectAsync(folder.Control, happened, stop).ConfigureAwait(false);
            if (VmProcess.Find(client.Greeting.Process) is not { } process)
            {
                await client.DisposeAsync().ConfigureAwait(false);
                return null;
            }

            folder.WriteProcess(process.Identity);
            return await SubscribeAsync(process, client, stop).ConfigureAwait(false);
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>Sends a request to the VM. One that is lost with the connection is answered as by a VM that has ended.</summary>
    public async Task<IProtocolMessage> AskAsync(IProtocolMessage request, CancellationToken stop)
    {
        try
        {
            return await Client.AskAsync(request, stop).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            return new VmCommandRejected(RejectionCode.VmEnded, e.Message);
        }
    }

    // Null when the process has ended.
    private static async Task<VmInstance?> ConnectAsync(
        VmFolder folder, VmProcess process, Action<IProtocolMessage> happened, CancellationToken stop)
    {
        while (!process.Ended.IsCompleted)
        {
            try
            {
                // A look costs far less than an attempt that fails.
                if (File.Exists(folder.Control))
                {
                    ControlClient client = await ControlClient.ConnectAsync(folder.Control, happened, stop).ConfigureAwait(false);
                    return await SubscribeAsync(process, client, stop).ConfigureAwait(false);
                }
            }
            catch (IOException)
            {
                // Nobody listens at the socket yet, or no longer.
            }

            await Task.WhenAny(process.Ended, Task.Delay(s_retry, stop)).ConfigureAwait(false);
            stop.ThrowIfCancellationRequested();
        }

        return null;
    }

    private static async Task<VmInstance> SubscribeAsync(VmProcess process, ControlClient client, CancellationToken stop)
    {
        try
        {
            await client.AskAsync(new SubscribeEvents(), stop).ConfigureAwait(false);
            return new VmInstance(process, client);
        }
        catch
        {
            await client.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}
