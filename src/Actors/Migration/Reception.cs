using Vmm.Emulation.Migration;

namespace Vmm.Actors.Migration;

/// <summary>A sender that has connected to this receiver and said what it is.</summary>
/// <param name="Hello">Its description, as it came (<see cref="MigrationHello"/>).</param>
internal sealed record Reception(Stream Stream, MigrationReader Reader, byte[] Hello)
{
    /// <summary>
    /// Waits for a sender. Whoever connects and is not let in, or does not say within a limited time what it is, is turned away, and
    /// another one is waited for: it could be anybody who has found the port.
    /// </summary>
    /// <param name="timeout">The limit.</param>
    /// <param name="own">Is given each stream, which is the link's from then on.</param>
    /// <param name="turnedAway">Somebody was turned away: why, as one line.</param>
    /// <exception cref="MigrationException">It is no sender of this program.</exception>
    /// <exception cref="IOException">Nobody can connect any more, or the link is lost.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static Reception Await(
        IMigrationListener listener, TimeSpan timeout, Func<Stream, Stream> own, Action<string> turnedAway, CancellationToken stop)
    {
        while (true)
        {
            Stream stream;
            try
            {
                stream = own(listener.AcceptAsync(stop).GetAwaiter().GetResult());
            }
            catch (StrangerException e)
            {
                turnedAway(e.Message);
                continue;
            }

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
                // The other side has closed the stream, or it was closed because the time is over.
            }

            turnedAway(silence.IsCancellationRequested
                ? $"somebody connected and did not say what it is within {timeout.TotalSeconds:0.###} s"
                : "somebody connected and closed the link without having said what it is");
        }
    }
}
