using Vmm.Actors.Migration;
using Vmm.Management.Text;

namespace Vmm.Host.Migration;

/// <summary>A receiver's end that is open already and can be used once.</summary>
internal sealed class SingleListener(string address, Stream stream) : IMigrationListener
{
    // Null once it was given away.
    private Stream? _stream = stream;

    public string Address => address;

    public Task<Stream> AcceptAsync(CancellationToken stop) => Interlocked.Exchange(ref _stream, null) is { } given
        ? Task.FromResult(given)
        : Task.FromException<Stream>(new IOException($"{UserText.Legible(address)} can be read only once"));

    public ValueTask DisposeAsync() => Interlocked.Exchange(ref _stream, null)?.DisposeAsync() ?? ValueTask.CompletedTask;
}
