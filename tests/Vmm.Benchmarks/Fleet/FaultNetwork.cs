using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Vmm.Host.Guest;

namespace Vmm.Benchmarks.Fleet;

/// <summary>What a node is cut off from.</summary>
[Flags]
internal enum Links
{
    Nodes = 1,
    Database = 2,
    Both = Nodes | Database,
}

/// <summary>
/// A network namespace for each node, with an interface at a bridge that has all nodes and one at a bridge that has the database, which is
/// in the namespace of this process. A bridge drops the frames of a node that is cut off, both ways, and nobody is told. All of it goes at
/// the end.
/// </summary>
internal sealed partial class FaultNetwork : IDisposable
{
    // Where nodes listen for each other.
    private const int Port = 7481;

    // RFC 2544: 198.18.0.0/15 is for measurements of networks.
    private readonly int _subnet = Environment.ProcessId % 100 * 2;
    private readonly string _name = string.Create(CultureInfo.InvariantCulture, $"vf{Environment.ProcessId}");
    private readonly int _nodes;

    /// <param name="nodes">How many nodes: 1 and so on.</param>
    /// <exception cref="GuestAssetsException">This host does not give them: one line.</exception>
    public FaultNetwork(int nodes)
    {
        _nodes = nodes;
        if (!Environment.IsPrivilegedProcess)
        {
            throw new GuestAssetsException("network namespaces need root");
        }

        try
        {
            Run("ip", $"link add {_name}n type bridge");
            Run("ip", $"link add {_name}d type bridge");
            Run("ip", $"addr add {DatabaseAddress}/24 dev {_name}d");
            Run("ip", $"link set dev {_name}n up");
            Run("ip", $"link set dev {_name}d up");
            for (int node = 1; node <= nodes; node++)
            {
                Run("ip", $"netns add {NameOf(node)}");
                Run("ip", $"-n {NameOf(node)} link set lo up");
                Connect(node, "n", AddressOf(node).Address);
                Connect(node, "d", Address(1, node));
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Where the database is to listen.</summary>
    public IPAddress DatabaseAddress => Address(1, 254);

    /// <summary>Where a node listens for the others.</summary>
    public IPEndPoint AddressOf(int node) => new(Address(0, node), Port);

    /// <summary>Before a command: it runs where a node is.</summary>
    public string[] Prefix(int node) => ["nsenter", $"--net={PathOf(node)}", "--"];

    /// <summary>Cuts a node off from what is given, and connects it with all else.</summary>
    public void Cut(int node, Links from)
    {
        Set(node, "n", (from & Links.Nodes) == 0);
        Set(node, "d", (from & Links.Database) == 0);
    }

    /// <summary>A socket of TCP where a node is, for addresses that are only there.</summary>
    public Socket Open(int node)
    {
        Socket? socket = null;
        Exception? problem = null;

        // The thread alone goes there, and ends.
        var thread = new Thread(() =>
        {
            try
            {
                using Microsoft.Win32.SafeHandles.SafeFileHandle handle = File.OpenHandle(PathOf(node));
                const int NewNet = 0x40000000;
                if (SetNamespace(handle, NewNet) != 0)
                {
                    throw new IOException($"setns: {Marshal.GetLastPInvokeErrorMessage()}");
                }

                socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            }
            catch (Exception e) when (e is IOException or SocketException)
            {
                problem = e;
            }
        });
        thread.Start();
        thread.Join();
        return socket ?? throw new IOException($"no socket at node {node}: {problem?.Message}");
    }

    public void Dispose()
    {
        for (int node = 1; node <= _nodes; node++)
        {
            Call("ip", $"netns del {NameOf(node)}");
        }

        Call("ip", $"link del {_name}n");
        Call("ip", $"link del {_name}d");
    }

    [LibraryImport("libc", EntryPoint = "setns", SetLastError = true)]
    private static partial int SetNamespace(SafeHandle handle, int kind);

    private string NameOf(int node) => string.Create(CultureInfo.InvariantCulture, $"{_name}-{node}");

    private string PathOf(int node) => $"/run/netns/{NameOf(node)}";

    private IPAddress Address(int network, int host) => new([198, 18, (byte)(_subnet + network), (byte)host]);

    // The interface has the name of its bridge; the bridge's end of it has the node's number, too.
    private void Connect(int node, string bridge, IPAddress address)
    {
        string there = $"{_name}{bridge}{node}";
        Run("ip", $"link add {there} type veth peer name {bridge} netns {NameOf(node)}");
        Run("ip", $"link set dev {there} master {_name}{bridge} up");
        Run("ip", $"-n {NameOf(node)} addr add {address}/24 dev {bridge}");
        Run("ip", $"-n {NameOf(node)} link set dev {bridge} up");
    }

    // Linux, include/uapi/linux/if_bridge.h: a port that is disabled (0) drops what comes and what is to go; 3 forwards.
    private void Set(int node, string bridge, bool forwards) =>
        Run("bridge", $"link set dev {_name}{bridge}{node} state {(forwards ? 3 : 0)}");

    private static (int Code, string Error) Call(string program, string line)
    {
        (int code, string output, string error) =
            HostTools.RunAsync(program, line.Split(' '), CancellationToken.None).GetAwaiter().GetResult();
        return (code, (output + error).Trim());
    }

    private static void Run(string program, string line)
    {
        (int code, string error) = Call(program, line);
        if (code != 0)
        {
            throw new GuestAssetsException($"{program} {line}: {error}");
        }
    }
}
