using System.Diagnostics;
using System.Net.Sockets;
using Vmm.Fleet.Cluster;

namespace Vmm.Fleet.Tests.Cluster;

/// <summary>
/// Watches that a VM runs once at most. Its guest sends a character to its serial line again and again; each node that the VM is at has a
/// socket for that, and a thread for each reads. What comes is stamped into one log, in its order and with one clock.
/// </summary>
internal sealed class RunningVms : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly List<(long At, int Node)> _log = [];
    private readonly Thread[] _threads;

    public RunningVms(LocalFleet fleet, string vm, int nodes)
    {
        _threads = [.. Enumerable.Range(1, nodes).Select(node => new Thread(
            () => Read(node, fleet.ConsoleOf(node, vm))))];
        Array.ForEach(_threads, thread => thread.Start());
    }

    /// <summary>
    /// A guest without an operating system, which sends a dot to its UART (at 0x9000000) and counts to four million, for ever.
    /// </summary>
    public static byte[] Writer { get; } =
    [
        .. new uint[]
        {
            0xD2A12000, // movz x0, #0x900, lsl #16
            0x528005C1, // movz w1, #'.'
            0xB9000001, // str  w1, [x0]
            0xD2A00802, // movz x2, #0x40, lsl #16
            0xD1000442, // sub  x2, x2, #1
            0xB5FFFFE2, // cbnz x2, .-4
            0x17FFFFFC, // b    .-16
        }.SelectMany(BitConverter.GetBytes),
    ];

    /// <summary>The nodes at which it ran, one after the other. One that comes again ran while another did, unless it came back.</summary>
    public IReadOnlyList<int> Places()
    {
        var places = new List<int>();
        lock (_log)
        {
            foreach ((_, int node) in _log)
            {
                if (places.Count == 0 || places[^1] != node)
                {
                    places.Add(node);
                }
            }
        }

        return places;
    }

    /// <summary>How often it changed from one node to another; each time those before had ended for good.</summary>
    public int Changes() => Places().Count - 1;

    /// <summary>The node of the last character, and how long ago it was.</summary>
    public (int Node, TimeSpan Age) Last()
    {
        lock (_log)
        {
            return _log.Count == 0 ? (0, TimeSpan.MaxValue) : (_log[^1].Node, Stopwatch.GetElapsedTime(_log[^1].At));
        }
    }

    /// <summary>The longest time between two characters.</summary>
    public TimeSpan LongestGap()
    {
        lock (_log)
        {
            return Enumerable.Range(1, _log.Count - 1).Max(i => Stopwatch.GetElapsedTime(_log[i - 1].At, _log[i].At));
        }
    }

    public void Dispose()
    {
        _stop.Cancel();
        Array.ForEach(_threads, thread => thread.Join());
        _stop.Dispose();
    }

    private void Read(int node, string path)
    {
        byte[] bytes = new byte[4096];
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 200 };
                socket.Connect(new UnixDomainSocketEndPoint(path));
                while (!_stop.IsCancellationRequested)
                {
                    try
                    {
                        if (socket.Receive(bytes) == 0)
                        {
                            break;
                        }

                        lock (_log)
                        {
                            _log.Add((Stopwatch.GetTimestamp(), node));
                        }
                    }
                    catch (SocketException e) when (e.SocketErrorCode is SocketError.TimedOut or SocketError.WouldBlock)
                    {
                        // The guest does not run now, or not yet.
                    }
                }
            }
            catch (Exception e) when (e is SocketException or ArgumentException)
            {
                _stop.Token.WaitHandle.WaitOne(5);
            }
        }
    }
}
