using System.Runtime.Serialization;
using System.Text;
using Vmm.Actors.Journals;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Serialization;
using Vmm.Management.Text;

namespace Vmm.Fleet.Nodes;

/// <summary>
/// The requests of a VM and their ends, in a file of lines: a manifest, a space, and the message as <see cref="FleetSerializer"/> encodes
/// it. A line is on the disk when the method that writes it returns. A last line without its end was being written when the machine
/// stopped: nobody was told of it, and it is removed. One thread at a time.
/// </summary>
internal sealed class RequestLog : IDisposable
{
    // The ends that are kept: whoever repeats a request does so long before as many others have come.
    private const int Kept = 1000;

    private readonly string _path;
    private readonly string _folder;
    private readonly List<IVmRequest> _open = [];
    private readonly Dictionary<string, RequestEnded> _ended = new(StringComparer.Ordinal);
    private readonly Queue<string> _order = [];
    private FileStream _file;
    private int _lines;

    private RequestLog(string path)
    {
        _path = path;
        _folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        _file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0);
        try
        {
            DurableFolder.Flush(_folder);
            byte[] bytes = new byte[_file.Length];
            _file.ReadExactly(bytes);
            int whole = Array.LastIndexOf(bytes, (byte)'\n') + 1;
            _file.SetLength(whole);
            foreach (string line in Encoding.UTF8.GetString(bytes, 0, whole).Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                _lines++;
                Take(line);
            }

            CompactIfLong();
        }
        catch
        {
            _file.Dispose();
            throw;
        }
    }

    /// <summary>Opens the file, or makes a new one, and reads all of it.</summary>
    /// <exception cref="IOException">It cannot be read or written, or is damaged: one line.</exception>
    public static RequestLog Read(string path) => new(path);

    /// <summary>The requests that have begun and not ended, in their order.</summary>
    public IReadOnlyList<IVmRequest> Open => _open;

    /// <summary>The end of a request; null if it has not ended, or was never begun.</summary>
    public RequestEnded? EndOf(string id) => _ended.GetValueOrDefault(id);

    /// <summary>Whether a request has begun and not ended.</summary>
    public bool IsOpen(string id) => _open.Exists(r => r.Id == id);

    /// <exception cref="IOException">It cannot be written: the request has not begun.</exception>
    public void Begin(IVmRequest request)
    {
        CompactIfLong();
        Append(request);
        _open.Add(request);
    }

    /// <exception cref="IOException">It cannot be written: the request has not ended.</exception>
    public void End(RequestEnded end)
    {
        Append(end);
        Take(end);
    }

    public void Dispose() => _file.Dispose();

    private static byte[] Line(IFleetMessage message) =>
        [.. Encoding.ASCII.GetBytes($"{FleetSerializer.Table.ManifestOf(message)} "), .. FleetSerializer.Table.Encode(message), (byte)'\n'];

    private void Append(IFleetMessage message)
    {
        long length = _file.Length;
        try
        {
            _file.Position = length;
            _file.Write(Line(message));
            _file.Flush(flushToDisk: true);
            _lines++;
        }
        catch (IOException e)
        {
            try
            {
                // What was written of the line would be before the next one.
                _file.SetLength(length);
            }
            catch (IOException)
            {
                // The next attempt writes over it: the length was taken before.
            }

            throw new IOException($"'{_path}' cannot be written: {SystemError.Describe(e)}", e);
        }
    }

    private void Take(string line)
    {
        try
        {
            int space = line.IndexOf(' ', StringComparison.Ordinal);
            switch (space < 0 ? null : FleetSerializer.Table.Decode(Encoding.UTF8.GetBytes(line[(space + 1)..]), line[..space]))
            {
                case IVmRequest request:
                    _open.Add(request);
                    break;
                case RequestEnded end:
                    Take(end);
                    break;
                default:
                    throw new SerializationException("it is neither a request nor an end");
            }
        }
        catch (SerializationException e)
        {
            throw new IOException($"'{_path}' is damaged in line {_lines}: {e.Message}", e);
        }
    }

    private void Take(RequestEnded end)
    {
        _open.RemoveAll(r => r.Id == end.Id);
        if (_ended.TryAdd(end.Id, end))
        {
            _order.Enqueue(end.Id);
        }

        if (_order.Count > Kept)
        {
            _ended.Remove(_order.Dequeue());
        }
    }

    private void CompactIfLong()
    {
        if (_lines <= 4 * Kept)
        {
            return;
        }

        string next = $"{_path}.new";
        using (var file = new FileStream(next, FileMode.Create, FileAccess.Write))
        {
            foreach (IFleetMessage message in _order.Select(id => (IFleetMessage)_ended[id]).Concat(_open))
            {
                file.Write(Line(message));
            }

            file.Flush(flushToDisk: true);
        }

        File.Move(next, _path, overwrite: true);
        DurableFolder.Flush(_folder);
        _file.Dispose();
        _file = new FileStream(_path, FileMode.Open, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0);
        _lines = _order.Count + _open.Count;
    }
}
