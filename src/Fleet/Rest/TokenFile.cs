using Serilog;
using Vmm.Fleet.Cluster;

namespace Vmm.Fleet.Rest;

/// <summary>
/// The tokens of a file that may change while the node runs: it is looked at again about each second. A file that is wrong changes nothing,
/// and the log says what is wrong with it. Any thread may ask.
/// </summary>
internal sealed class TokenFile
{
    private const long LookMilliseconds = 1000;

    private readonly Lock _lock = new();
    private readonly string _path;

    // Replaced as a whole under the lock.
    private volatile RestTokens _tokens;
    private DateTime _written;
    private long _looked;

    /// <exception cref="NodeConfigException">The file cannot be read, or is wrong.</exception>
    public TokenFile(string path)
    {
        _path = path;
        _tokens = RestTokens.Load(path);
        _written = File.GetLastWriteTimeUtc(path);
        _looked = Environment.TickCount64;
    }

    /// <summary>Whose token it is; null for nobody's.</summary>
    public (RestRole Role, string Name)? Find(string token)
    {
        if (Environment.TickCount64 - Volatile.Read(ref _looked) >= LookMilliseconds)
        {
            Look();
        }

        return _tokens.Find(token);
    }

    private void Look()
    {
        lock (_lock)
        {
            Volatile.Write(ref _looked, Environment.TickCount64);
            DateTime written = File.GetLastWriteTimeUtc(_path);
            if (written == _written)
            {
                return;
            }

            _written = written;
            try
            {
                // A file that is gone is not made anew behind the back of whoever took it away.
                _tokens = File.Exists(_path) ? RestTokens.Load(_path) : throw new NodeConfigException($"'{_path}' is gone");
                Log.Information("the tokens were read again");
            }
            catch (NodeConfigException e)
            {
                Log.Error("{Reason}; the tokens stay as they were", e.Message);
            }
        }
    }
}
