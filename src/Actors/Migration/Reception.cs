using Vmm.Emulation.Migration;

namespace Vmm.Actors.Migration;

/// <summary>A sender that has connected to this receiver and said what it is.</summary>
/// <param name="Hello">Its description, as it came (<see cref="MigrationHello"/>).</param>
internal sealed record Reception(Stream Stream, MigrationReader Reader, byte[] Hello)
{
    /// <summary>
    /// Waits for a sender. Whoever connects and does not say within a limited time what it is, is let go, and another one is waited for:
    /// it could be anybody who has found the port.
    /// </summary>
    /// <param name="timeout">The limit.</param>
    /// <param name="own">Is given each stream, which is the link's from then on.</param>
    /// <param name="letGo">Somebody was silent for too long.</param>
    /// <exception cref="MigrationException">It is no sender of this program.</exception>
    /// <exception cref="IOException">Nobody can connect any more, or the link is lost.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static Reception Await(
        IMigrationListener listener, TimeSpan timeout, Func<Stream, Stream> own, Action letGo, CancellationToken stop)
    {
        while (true)
        {
            Stream stream = own(listener.AcceptAsync(stop).GetAwaiter().GetResult());
            using var silence = new CancellationTokenSource(timeout);
            try
            {
                var reader = new MigrationReader(stream);
                byte[] hello;
                using (silence.Token.Register(stream.Dispose))
                {
                    reader.ReadMagic();
                    reader.Expect(MigrationRecordKind.Hello);
                    hello = reader.ReadPayload();
                }

                if (!silence.IsCancellationRequested)
                {
                    return new Reception(stream, reader, hello);
                }
            }
            catch (Exception e) when (
                e is IOException or ObjectDisposedException && silence.IsCancellationRequested && !stop.IsCancellationRequested)
            {
                // The stream was closed because the time is over.
            }

            letGo();
        }
    }
}
