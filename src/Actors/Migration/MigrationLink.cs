using System.Net.Sockets;
using Akka.Actor;
using Vmm.Emulation;
using Vmm.Emulation.Migration;
using Vmm.Emulation.Snapshots;
using Vmm.Emulation.State;

namespace Vmm.Actors.Migration;

/// <summary>
/// One end of a migration's connection: a thread of its own, because it waits for the network. It tells its actor what happens, and hears
/// from it by the methods of the class that derives. Disposed of, the link is cut at once, and <see cref="LinkEnded"/> follows.
/// </summary>
internal abstract class MigrationLink : IDisposable
{
    private readonly IActorRef _actor;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly string _name;

    // Guarded by the lock; the thread makes it, any thread closes it.
    private Stream? _stream;

    // Guarded by the lock: the thread has ended.
    private bool _over;

    /// <param name="actor">Hears what happens.</param>
    /// <param name="name">Of the thread.</param>
    protected MigrationLink(IActorRef actor, string name) => (_actor, _name) = (actor, name);

    /// <summary>Cancelled when the link is cut. For the thread.</summary>
    protected CancellationToken Stopped => _stop.Token;

    /// <summary>The receiver may have been told that the guest is its own. Only the thread uses it.</summary>
    protected bool CommitSent { get; set; }

    /// <summary>Begins the thread of a link.</summary>
    public static T Start<T>(T link)
        where T : MigrationLink
    {
        new Thread(link.RunThread) { Name = link._name, IsBackground = true }.Start();
        return link;
    }

    public void Dispose()
    {
        // The thread disposes of the source when it ends.
        lock (_lock)
        {
            if (!_over)
            {
                _stop.Cancel();
                _stream?.Dispose();
            }
        }
    }

    /// <summary>What the thread does.</summary>
    protected abstract void Run();

    /// <summary>Gives back what the machine was used for, however the link has ended.</summary>
    protected virtual void CleanUp()
    {
    }

    protected void Tell(object message) => _actor.Tell(message);

    /// <summary>The stream is this link's from now on.</summary>
    protected Stream Own(Stream stream)
    {
        lock (_lock)
        {
            _stream = stream;
        }

        Stopped.ThrowIfCancellationRequested();
        return stream;
    }

    /// <summary>Sends what is buffered and closes the stream.</summary>
    protected void CloseStream()
    {
        lock (_lock)
        {
            _stream?.Dispose();
            _stream = null;
        }
    }

    private void RunThread()
    {
        string? problem = null;
        HostThread.LetCompilerYield();
        try
        {
            Run();
        }
        catch (OperationCanceledException)
        {
            problem = "it was cancelled";
        }
        catch (Exception e) when (e is IOException or MigrationException or SnapshotException or StateException or SocketException)
        {
            problem = Stopped.IsCancellationRequested ? "it was cancelled" : e.Message;
        }
        catch (ObjectDisposedException) when (Stopped.IsCancellationRequested)
        {
            problem = "it was cancelled";
        }
        catch (Exception e)
        {
            problem = $"{e.GetType().Name}: {e.Message}";
        }

        CleanUp();
        lock (_lock)
        {
            _over = true;
            _stream?.Dispose();
            _stop.Dispose();
        }

        Tell(new LinkEnded(problem, CommitSent));
    }
}
