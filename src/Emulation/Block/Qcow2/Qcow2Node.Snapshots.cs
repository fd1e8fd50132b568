namespace Vmm.Emulation.Block.Qcow2;

/// <summary>Snapshots that are made, deleted and gone back to.</summary>
public sealed partial class Qcow2Node
{
    /// <summary>Begins to make a snapshot of the disk as it is.</summary>
    /// <param name="name">May be that of another one; the ID may not.</param>
    /// <exception cref="BlockException">It cannot be made; nothing has changed.</exception>
    public Qcow2Change CreateSnapshot(string name, DateTimeOffset time, TimeSpan vmClock) =>
        BeginChange(change => change.Create(name, time, vmClock));

    /// <summary>Begins to take the disk back to a snapshot.</summary>
    /// <param name="snapshot">Of <see cref="Snapshots"/>.</param>
    /// <exception cref="BlockException">It cannot be; nothing has changed.</exception>
    public Qcow2Change ApplySnapshot(Qcow2Snapshot snapshot) => BeginChange(change => change.Apply(snapshot));

    /// <summary>Begins to delete snapshots.</summary>
    /// <param name="snapshots">Of <see cref="Snapshots"/>, read since the last change.</param>
    /// <exception cref="BlockException">They cannot be deleted; nothing has changed.</exception>
    /// <exception cref="InvalidOperationException">One was read before.</exception>
    public Qcow2Change DeleteSnapshots(IReadOnlyCollection<Qcow2Snapshot> snapshots) => BeginChange(change => change.Delete(snapshots));

    /// <summary>Reads again what the image has.</summary>
    /// <exception cref="BlockException">It cannot be read.</exception>
    internal Qcow2Contents ReadContents() => Qcow2Image.Read(_layout, Qcow2Header.Read(_file), !IsReadOnly, _options);

    /// <summary>A change has ended.</summary>
    /// <param name="contents">What the image has now; null for what it had.</param>
    internal void EndChange(Qcow2Contents? contents)
    {
        lock (_lock)
        {
            if (contents != null)
            {
                (_metadata, _snapshots) = (contents.Metadata, contents.Snapshots);
                Interlocked.Exchange(ref _size, contents.Size);
            }

            _requests.EndAlone();
        }
    }

    /// <summary>The image cannot be relied on, and is written no more.</summary>
    internal void Stop(string why)
    {
        lock (_lock)
        {
            _metadata.Stop(why);
        }
    }

    // Requests end, those that come wait, and what is in memory of the tables goes to the disk: the image is then as the file has it.
    private Qcow2Change BeginChange(Func<Qcow2Change, Qcow2Change> begin)
    {
        lock (_lock)
        {
            _requests.BeginAlone();
        }

        try
        {
            Errno error = IsReadOnly ? Errno.EROFS : Flush(waits: false);
            lock (_lock)
            {
                error = error == Errno.None ? _metadata.Finish() : error;
            }

            Qcow2Change.Check(_layout, error);
            return begin(new Qcow2Change(this, _layout, new Qcow2Contents(_metadata, _snapshots, Size)));
        }
        catch
        {
            EndChange(null);
            throw;
        }
    }
}
