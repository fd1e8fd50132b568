using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Npgsql;

namespace Vmm.Fleet.Tests.Cluster;

/// <summary>Debian's PostgreSQL, with a cluster of databases of its own in a folder that is removed at the end.</summary>
public sealed class PostgresServer : IDisposable
{
    private const string User = "vmm";

    // PostgreSQL refuses to be root: then it is the user of Debian's package (setpriv(1)).
    private static readonly string[] s_unprivileged =
        Environment.UserName == "root" ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"] : [];

    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-pg-").FullName;
    private readonly string _password = Guid.NewGuid().ToString("N");
    private readonly int _port = FreePort();
    private Process _server = null!;
    private int _databases;

    public PostgresServer()
    {
        string secret = Path.Combine(_folder, "secret");
        File.WriteAllText(secret, _password);
        if (s_unprivileged.Length > 0)
        {
            Run("chown", "-R", "postgres", _folder);
        }

        Run(
            [.. s_unprivileged, Tool("initdb"), "-D", Data, "-U", User, "--auth=scram-sha-256", $"--pwfile={secret}", "--no-sync",
                "--encoding=UTF8", "--locale=C"]);
        Start();
    }

    private string Data => Path.Combine(_folder, "data");

    /// <summary>A port of this machine at which nobody listens now.</summary>
    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>Makes an empty database; returns its connection string.</summary>
    public string NewDatabase()
    {
        string name = $"fleet{Interlocked.Increment(ref _databases)}";
        using NpgsqlConnection connection = Open("postgres");
        using var command = new NpgsqlCommand($"CREATE DATABASE {name}", connection);
        command.ExecuteNonQuery();
        return ConnectionString(name);
    }

    /// <summary>Ends the server and all of its processes at once, as a crash does.</summary>
    public void Kill()
    {
        _server.Kill(entireProcessTree: true);
        _server.WaitForExit();
    }

    /// <summary>Starts it after <see cref="Kill"/>, and waits until it has recovered.</summary>
    public void Start()
    {
        Patience.Until(() =>
        {
            _server = Process.Start(new ProcessStartInfo(
                "sh",
                [
                    "-c", """exec "$@" >>"$0" 2>&1""", Path.Combine(_folder, "log"), .. s_unprivileged, Tool("postgres"), "-D", Data,
                    "-p", _port.ToString(CultureInfo.InvariantCulture), "-c", "listen_addresses=127.0.0.1",
                    "-c", $"unix_socket_directories={_folder}", "-c", "max_connections=300",
                ]))!;
            Patience.Until(() => _server.HasExited || Answers(), "PostgreSQL answers");

            // Processes of one that was killed may have its shared memory a moment longer.
            return !_server.HasExited;
        }, "PostgreSQL runs");
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

    private static string Tool(string name) =>
        Directory.EnumerateDirectories("/usr/lib/postgresql").Order().Select(version => Path.Combine(version, "bin", name))
            .Last(File.Exists);

    private static void Run(params string[] command)
    {
        var start = new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{string.Join(' ', command)}: {output}{errors.Result}");
    }

    private string ConnectionString(string database) => new NpgsqlConnectionStringBuilder
    {
        Host = "127.0.0.1", Port = _port, Username = User, Password = _password, Database = database,
    }.ConnectionString;

    private NpgsqlConnection Open(string database)
    {
        var connection = new NpgsqlConnection(ConnectionString(database));
        connection.Open();
        return connection;
    }

    private bool Answers()
    {
        try
        {
            using NpgsqlConnection connection = Open("postgres");
            return true;
        }
        catch (NpgsqlException)
        {
            return false;
        }
    }
}
