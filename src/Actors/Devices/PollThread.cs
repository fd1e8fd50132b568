using Vmm.Emulation.Memory;
using Vmm.Emulation.Net;

namespace Vmm.Actors.Devices;

/// <summary>
/// The one thread of a device whose other side are descriptors of the host: it works, and then waits for them, for the driver and for what
/// others ask of it. It owns all of its class but the queue of what others ask. It begins paused.
/// <para>
/// Between two steps it holds no chain of the driver. So a reset of the device, a pause and a save wait for nothing.
/// </para>
/// </summary>
/// <param name="name">For people who look at threads.</param>
/// <param name="notice">Is told of what people are to know, as one line; must not block.</param>
/// <param name="broken">Is told of what should never be thrown.</param>
internal abstract class PollThread(string name, Action<string> notice, Action<Exception> broken) : IDisposable
{
    // Milliseconds until a page that has not arrived is looked for again.
    private const int PageWait = 1;

    private readonly NetPoll _poll = new();

    // The lock over what others ask.
    private readonly Lock _gate = new();
    private readonly Queue<Action> _asked = [];

    private Thread? _thread;
    private bool _ended;

    /// <summary>Starts the thread.</summary>
    public void Start()
    {
        _thread = new Thread(Run) { IsBackground = true, Name = name };
        _thread.Start();
    }

    /// <summary>There may be something to do: the driver has notified. Any thread.</summary>
    public void Wake() => _poll.Wake();

    /// <summary>Has something done by the thread, in order. Any thread.</summary>
    public void Post(Action action)
    {
        lock (_gate)
        {
            _asked.Enqueue(action);
        }

        _poll.Wake();
    }

    /// <summary>Ends the thread, and returns when it has ended: guest RAM may then go.</summary>
    public void Dispose()
    {
        Post(() =>
        {
            End();
            _ended = true;
        });
        _thread?.Join();
        _poll.Dispose();
    }

    // ── For what is posted ──

    /// <summary>Begins to work.</summary>
    public void Resume()
    {
        if (Claim() is { } problem)
        {
            notice(problem);
        }

        Runs = true;
    }

    /// <summary>Works no more.</summary>
    /// <param name="release">Another process is to have the guest.</param>
    public virtual void Pause(bool release) => Runs = false;

    /// <summary>What is under way is nobody's.</summary>
    public abstract void Drop();

    // ── The thread ──

    /// <summary>Whether it works.</summary>
    protected bool Runs { get; private set; }

    /// <summary>Tells people, as one line.</summary>
    protected Action<string> Notice => notice;

    /// <summary>Takes what one process at a time can have of the host.</summary>
    /// <returns>What people are to know of it; null for nothing.</returns>
    protected abstract string? Claim();

    /// <summary>Does some of what there is to do; whether there may be more.</summary>
    /// <exception cref="MissingPageException">A page has not arrived; to be called again.</exception>
    protected abstract bool Serve();

    /// <summary>The last that is done.</summary>
    protected virtual void End()
    {
    }

    /// <summary>Says what of the host is waited for.</summary>
    protected abstract void AddTo(NetPoll poll);

    /// <summary>Called after each wait.</summary>
    protected abstract void Look(NetPoll poll);

    private void Run()
    {
        while (true)
        {
            try
            {
                RunAsked();
                if (_ended)
                {
                    return;
                }

                int wait = -1;
                if (Runs)
                {
                    try
                    {
                        wait = Serve() ? 0 : -1;
                    }
                    catch (MissingPageException)
                    {
                        wait = PageWait;
                    }
                }

                _poll.Clear();
                AddTo(_poll);
                _poll.Wait(wait);
                Look(_poll);
            }
            catch (Exception e)
            {
                broken(e);
                return;
            }
        }
    }

    private void RunAsked()
    {
        while (true)
        {
            Action? action;
            lock (_gate)
            {
                if (!_asked.TryDequeue(out action))
                {
                    return;
                }
            }

            action();
        }
    }
}
