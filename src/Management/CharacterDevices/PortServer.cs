using Vmm.Emulation.Devices.Virtio.Serial;

namespace Vmm.Management.CharacterDevices;

/// <summary>Connects a port of a virtio console with a character device: one connection at a time, bytes both ways.</summary>
public static class PortServer
{
    private const int BufferSize = 16 << 10;

    /// <summary>Serves connections until <paramref name="stop"/>.</summary>
    public static Task RunAsync(CharacterDevice device, PortLink link, CancellationToken stop) =>
        device.RunAsync(connection => ServeAsync(connection, link, stop), atOnce: 1, stop);

    /// <summary>Passes on what the port says until <paramref name="stop"/>; for the guest somebody is at the host's end.</summary>
    public static async Task ListenAsync(PortLink link, Action<ReadOnlyMemory<byte>> take, CancellationToken stop)
    {
        link.SetHostOpen(true);
        try
        {
            byte[] buffer = new byte[BufferSize];
            while (true)
            {
                take(buffer.AsMemory(0, await link.ReadAsync(buffer, stop).ConfigureAwait(false)));
            }
        }
        finally
        {
            link.SetHostOpen(false);
        }
    }

    private static async Task ServeAsync(CharacterConnection connection, PortLink link, CancellationToken stop)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stop);
        link.SetHostOpen(true);
        try
        {
            Task output = SendAsync(connection.Output, link, end.Token);
            Task input = ReceiveAsync(connection.Input, link, end.Token);
            Task first = await Task.WhenAny(output, input).ConfigureAwait(false);
            if (first == input && !connection.EndsWithInput)
            {
                await input.ConfigureAwait(false);
                await output.ConfigureAwait(false);
            }

            await first.ConfigureAwait(false);
        }
        finally
        {
            await end.CancelAsync().ConfigureAwait(false);
            link.SetHostOpen(false);
        }
    }

    private static async Task SendAsync(Stream stream, PortLink link, CancellationToken stop)
    {
        byte[] buffer = new byte[BufferSize];
        while (true)
        {
            int count = await link.ReadAsync(buffer, stop).ConfigureAwait(false);
            await stream.WriteAsync(buffer.AsMemory(0, count), stop).ConfigureAwait(false);
            await stream.FlushAsync(stop).ConfigureAwait(false);
        }
    }

    private static async Task ReceiveAsync(Stream stream, PortLink link, CancellationToken stop)
    {
        byte[] buffer = new byte[BufferSize];
        while (await stream.ReadAsync(buffer, stop).ConfigureAwait(false) is var count && count > 0)
        {
            await link.WriteAsync(buffer.AsMemory(0, count), stop).ConfigureAwait(false);
        }
    }
}
