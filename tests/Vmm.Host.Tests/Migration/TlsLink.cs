using Vmm.Actors.Migration;
using Vmm.Host.Migration;

namespace Vmm.Host.Tests.Migration;

/// <summary>Links between two transports with credentials.</summary>
internal static class TlsLink
{
    /// <summary>Where a receiver listens: a port that the host chooses.</summary>
    public const string Address = "tcp:127.0.0.1:0";

    /// <summary>The streams of both sides, or what each side says instead.</summary>
    public static async Task<(object Sender, object Receiver)> LinkAsync(
        MigrationTransport sender, MigrationTransport receiver, string hostname = "", string senderCreds = "tls", string authz = "")
    {
        await using IMigrationListener listener = receiver.Parse(Address, "tls", "", authz).Listen();
        Task<Stream> accepting = listener.AcceptAsync(CancellationToken.None);
        Task<Stream> connecting = sender.Parse(listener.Address, senderCreds, hostname).ConnectAsync(CancellationToken.None);
        return (await ResultAsync(connecting), await ResultAsync(accepting));
    }

    /// <summary>What became of a side: its stream, or its one line.</summary>
    public static async Task<object> ResultAsync(Task<Stream> opening)
    {
        try
        {
            return await opening.WaitAsync(Patience.Limit);
        }
        catch (IOException e)
        {
            Assert.DoesNotContain('\n', e.Message);
            return e.Message;
        }
    }
}
