namespace Vmm.Emulation.Net;

/// <summary>
/// The host's end of a network link (<c>-netdev</c>): frames go to it and come from it. It knows no guest and no device. One thread calls
/// it, that of the device at its other end; nothing here waits, but for <see cref="Open"/> and the calls of people.
/// </summary>
/// <param name="id">The name that the user gave it.</param>
public abstract class Netdev(string id) : IDisposable
{
    /// <summary>What other threads are told of it.</summary>
    private volatile string? _problem;

    // Of the thread that calls it.
    private readonly List<PcapDump> _dumps = [];

    public string Id { get; } = id;

    /// <summary>The type, as <c>-netdev</c> has it.</summary>
    public abstract string Type { get; }

    /// <summary>What <c>info network</c> shows behind the type. Any thread.</summary>
    public abstract string Details { get; }

    /// <summary>Whether it takes frames to which something is left to do (<see cref="NetFrame"/>).</summary>
    public virtual bool TakesUnfinished => false;

    /// <summary>Whether frames can come and go. Any thread.</summary>
    public virtual bool IsConnected => true;

    /// <summary>Why it has ended by itself, as one line; null while it has not. Any thread.</summary>
    public string? Problem => _problem;

    /// <summary>Begins to work with the host. Called before the thread starts.</summary>
    /// <exception cref="NetException">The host does not let it: one line.</exception>
    public abstract void Open();

    /// <summary>
    /// This process has the guest from now on: what only one process can have of the host, such as a port at which it listens, is taken.
    /// </summary>
    /// <returns>What could not be had, as one line; null for nothing.</returns>
    public virtual string? Claim() => null;

    /// <summary>Another process is to have the guest: what only one can have is given up until <see cref="Claim"/>.</summary>
    public virtual void Release()
    {
    }

    /// <summary>Says what it waits for.</summary>
    /// <param name="takes">Whether frames can be taken from it.</param>
    /// <param name="gives">Whether a frame is to be sent that it had no room for.</param>
    public abstract void AddTo(NetPoll poll, bool takes, bool gives);

    /// <summary>Does what is to be done beside frames, such as accepting a connection; called after each wait.</summary>
    public virtual void Work()
    {
    }

    /// <summary>Sends a frame; false where there is no room for it now. What cannot be sent at all is dropped.</summary>
    public abstract bool TrySend(NetFrame frame);

    /// <summary>Takes the next frame; false where there is none.</summary>
    public abstract bool TryReceive(NetFrame frame);

    /// <summary>What it knows of the guest, for another process; empty where it keeps nothing.</summary>
    public virtual byte[] SaveState() => [];

    /// <summary>Takes what another process knew of the guest.</summary>
    public virtual void LoadState(byte[] state)
    {
    }

    /// <summary>Writes all frames to a file from now on, which is disposed with it. Before the thread starts, or by it.</summary>
    public void Add(PcapDump dump) => _dumps.Add(dump);

    /// <summary>A frame comes by, in either direction.</summary>
    public void Record(NetFrame frame)
    {
        foreach (PcapDump dump in _dumps)
        {
            dump.Write(frame.Bytes);
        }
    }

    /// <summary>Ends the work with the host. The thread has ended.</summary>
    public virtual void Dispose()
    {
        _dumps.ForEach(d => d.Dispose());
        GC.SuppressFinalize(this);
    }

    /// <summary>It has ended by itself.</summary>
    protected void Lose(string problem) => _problem ??= problem;

    /// <summary>It works again.</summary>
    protected void Recover() => _problem = null;
}
