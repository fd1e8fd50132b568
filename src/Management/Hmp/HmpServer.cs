using System.Collections.Concurrent;
using System.Text;
using Vmm.Actors.Protocol;
using Vmm.Management.CharacterDevices;
using Vmm.Management.Commands;
using Vmm.Management.Text;

namespace Vmm.Management.Hmp;

/// <summary>Serves monitors for people at any number of character devices. Each monitor is told how plugs and unplugs end.</summary>
public sealed class HmpServer(MonitorCommands commands)
{
    private const int MostClients = 32;

    // The text in bytes that may wait for a client to read it. Beyond that its commands wait.
    private const int LargestOutput = 1 << 20;

    private readonly ConcurrentDictionary<HmpSession, byte> _sessions = [];

    /// <summary>Serves a device until <paramref name="stop"/>.</summary>
    public Task RunAsync(CharacterDevice device, CancellationToken stop) =>
        device.RunAsync(connection => Serve(connection, stop), MostClients, stop);

    /// <summary>Tells all monitors the end of a plug or unplug. Any thread.</summary>
    public void Report(HotplugOutcome outcome)
    {
        foreach (HmpSession session in _sessions.Keys)
        {
            _ = session.Interrupt(OutcomeText.Of(outcome));
        }
    }

    private async Task Serve(CharacterConnection connection, CancellationToken stop)
    {
        var output = new OutputQueue(connection.Output, LargestOutput);
        var session =
            new HmpSession(commands, text => output.TryAdd(Encoding.UTF8.GetBytes(text.Replace("\n", "\r\n", StringComparison.Ordinal))));
        output.TryAdd(Encoding.UTF8.GetBytes(HmpSession.Banner.ReplaceLineEndings("\r\n")));
        session.Show();
        _sessions[session] = 0;
        try
        {
            byte[] buffer = new byte[1024];
            int count;
            while ((count = await connection.Input.ReadAsync(buffer, stop).ConfigureAwait(false)) > 0)
            {
                foreach (byte key in buffer.AsMemory(0, count).ToArray())
                {
                    await session.Take(key).ConfigureAwait(false);
                }

                // A client that does not read is not read from.
                await output.AddAsync(default, stop).ConfigureAwait(false);
            }
        }
        finally
        {
            _sessions.TryRemove(session, out _);
            output.Complete();
            await Task.WhenAny(output.Completion, Task.Delay(TimeSpan.FromSeconds(1), CancellationToken.None)).ConfigureAwait(false);
        }
    }
}
