using System.Diagnostics;
using System.Globalization;
using System.Net;

namespace Vmm.Host.Guest;

/// <summary>
/// Debian's PostgreSQL, with a cluster of databases of its own at one address, in a folder that is removed at the end. It is in a
/// session of its own: Ctrl-C at a terminal does not reach it. A connection over TCP needs the password; at its socket, in the folder that
/// only root and the server's user enter, whoever comes is trusted.
/// </summary>
public sealed class PostgresServer : IDisposable
{
    private const string User = "vmm", Server = "postgres";

    // For a server that hangs: a busy host can make a start very slow.
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(10);

    // PostgreSQL refuses to be root: then it is the user of Debian's package (setpriv(1)).
    private static readonly string[] s_unprivileged =
        Environment.UserName == "root" ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"] : [];

    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-pg-").FullName;
    private readonly string _password = Guid.NewGuid().ToString("N");
    private readonly int _port = HostTools.FreePort();
    private readonly IPAddress _address;
    private Process _server = null!;
    private int _databases;

    /// <summary>Starts it at the loopback.</summary>
    /// <exception cref="GuestAssetsException">There is no PostgreSQL on this host, or it does not start.</exception>
    public PostgresServer()
        : this(IPAddress.Loopback)
    {
    }

    /// <param name="address">Where it listens. Hosts of this host's networks may connect, with the password.</param>
    /// <exception cref="GuestAssetsException">There is no PostgreSQL on this host, or it does not start.</exception>
    internal PostgresServer(IPAddress address)
    {
        _address = address;
        try
        {
            string secret = Path.Combine(_folder, "secret");
            File.WriteAllText(secret, _password);
            if (s_unprivileged.Length > 0)
            {
                Run("chown", "-R", "postgres", _folder);
            }

            Run(
                [.. s_unprivileged, Tool("initdb"), "-D", Data, "-U", User, "--auth-host=scram-sha-256", "--auth-local=trust",
                    $"--pwfile={secret}", "--no-sync", "--encoding=UTF8", "--locale=C"]);
            File.AppendAllText(Path.Combine(Data, "pg_hba.conf"), "host all all samenet scram-sha-256\n");
            Start();
        }
        catch
        {
            Directory.Delete(_folder, recursive: true);
            throw;
        }
    }

    // Where the server listens, for a program of PostgreSQL. It makes the socket when it has its port of TCP.
    private string[] Socket => ["-h", _folder, "-p", _port.ToString(CultureInfo.InvariantCulture)];

    private string Data => Path.Combine(_folder, "data");

    /// <summary>Has root's apt install PostgreSQL if it is missing.</summary>
    /// <exception cref="GuestAssetsException">It is missing, and cannot be installed.</exception>
    public static Task EnsureInstalledAsync(CancellationToken cancellation) => Find(Server) != null ? Task.CompletedTask
        : HostTools.EnsureAsync([(Server, "postgresql")], cancellation);

    /// <summary>Makes an empty database; returns its connection string.</summary>
    /// <exception cref="GuestAssetsException">It cannot be made.</exception>
    public string NewDatabase()
    {
        string name = $"fleet{Interlocked.Increment(ref _databases)}";
        Run([Tool("createdb"), .. Socket, "-U", User, name]);
        return $"Host={_address};Port={_port};Username={User};Password={_password};Database={name}";
    }

    /// <summary>Ends the server and all of its processes at once, as a crash does.</summary>
    public void Kill()
    {
        _server.Kill(entireProcessTree: true);
        _server.WaitForExit();
    }

    /// <summary>Starts it, also after <see cref="Kill"/>, and waits until it has recovered.</summary>
    /// <exception cref="GuestAssetsException">It does not start.</exception>
    public void Start()
    {
        string log = Path.Combine(_folder, "log");
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < s_patience;)
        {
            _server = Process.Start(new ProcessStartInfo(
                "sh",
                [
                    "-c", """exec setsid -- "$@" >>"$0" 2>&1 </dev/null""", log, .. s_unprivileged, Tool(Server), "-D", Data,
                    "-p", _port.ToString(CultureInfo.InvariantCulture), "-c", $"listen_addresses={_address}",
                    "-c", $"unix_socket_directories={_folder}", "-c", "max_connections=300",
                ]))!;
            while (!_server.HasExited && clock.Elapsed < s_patience)
            {
                if (Answers())
                {
                    return;
                }

                Thread.Sleep(20);
            }

            // Processes of one that was killed may have its shared memory a moment longer: then it is started once more.
            Thread.Sleep(20);
        }

        throw new GuestAssetsException($"PostgreSQL does not start: {File.ReadLines(log).LastOrDefault()}");
    }

    public void Dispose()
    {
        if (!_server.HasExited)
        {
            Kill();
        }

        _server.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static string? Find(string name) => !Directory.Exists("/usr/lib/postgresql") ? null
        : Directory.EnumerateDirectories("/usr/lib/postgresql").Order().Select(version => Path.Combine(version, "bin", name))
            .LastOrDefault(File.Exists);

    private static string Tool(string name) =>
        Find(name) ?? throw new GuestAssetsException("missing on this host; as root: apt-get install -y postgresql");

    private static (int Code, string Output, string Error) Call(string program, string[] arguments) =>
        HostTools.RunAsync(program, arguments, CancellationToken.None).GetAwaiter().GetResult();

    private static void Run(params string[] command)
    {
        (int code, string output, string error) = Call(command[0], command[1..]);
        if (code != 0)
        {
            throw new GuestAssetsException($"{string.Join(' ', command)}: {(output + error).TrimEnd().Split('\n')[^1]}");
        }
    }

    private bool Answers() => Call(Tool("pg_isready"), ["-q", .. Socket]).Code == 0;
}
