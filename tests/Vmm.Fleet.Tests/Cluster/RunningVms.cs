using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Vmm.Fleet.Cluster;

namespace Vmm.Fleet.Tests.Cluster;

/// <summary>
/// Watches that a VM runs once at most. Its guest writes lines to its serial line, with its boot and a count; each node that the VM is at
/// has a socket for that, and a thread for each reads. What comes is stamped into one log, in its order and with one clock.
/// </summary>
internal sealed class RunningVms : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly StampLog _log = new();
    private readonly Thread[] _threads;
    private readonly long _started = Stopwatch.GetTimestamp();
    private int _processes;

    public RunningVms(LocalFleet fleet, string vm, int nodes)
    {
        _threads = [.. Enumerable.Range(1, nodes).Select(node => new Thread(
            () => Read(node, fleet.ConsoleOf(node, vm))) { IsBackground = true })];
        Array.ForEach(_threads, thread => thread.Start());
    }

    /// <summary>
    /// A guest without an operating system, which writes a line to its UART 16 times a second: 16 hexadecimal digits, of which 8 are its
    /// boot and 8 count the lines. Between two lines it waits for the virtual timer's interrupt (WFI), so its host has idle time; the
    /// interrupt stays masked, and ends when the timer is set anew. Two boots at a moment are seen if both run for a line's 62.5 ms. It
    /// needs FEAT_RNG.
    /// </summary>
    public static byte[] Writer { get; } =
    [
        .. new uint[]
        {
            0xD2A10000, //        mov  x0, #0x8000000     ; the distributor
            0x52800041, //        mov  w1, #2
            0xB9000001, //        str  w1, [x0]           ; GICD_CTLR: group 1
            0xD2A10140, //        mov  x0, #0x80a0000     ; the redistributor
            0xB900141F, //        str  wzr, [x0, #0x14]   ; GICR_WAKER: awake
            0x91404000, //        add  x0, x0, #0x10, lsl #12
            0x52A10001, //        mov  w1, #0x8000000     ; INTID 27, the virtual timer
            0xB9008001, //        str  w1, [x0, #0x80]    ; GICR_IGROUPR0
            0xB9010001, //        str  w1, [x0, #0x100]   ; GICR_ISENABLER0
            0xD2801E01, //        mov  x1, #0xf0
            0xD5184601, //        msr  icc_pmr_el1, x1
            0xD2800021, //        mov  x1, #1
            0xD518CCE1, //        msr  icc_igrpen1_el1, x1
            0xD51BE321, //        msr  cntv_ctl_el0, x1
            0xD53BE009, //        mrs  x9, cntfrq_el0
            0xD344FD29, //        lsr  x9, x9, #4
            0xD2A12000, //        mov  x0, #0x9000000     ; the UART
            0xD53B2407, //        mrs  x7, rndr           ; the boot
            0xD2800001, //        mov  x1, #0             ; the count
            0xAA078023, // line:  orr  x3, x1, x7, lsl #32
            0x52800782, //        mov  w2, #60
            0x9AC22464, // digit: lsr  x4, x3, x2
            0x12000C84, //        and  w4, w4, #15
            0x7100289F, //        cmp  w4, #10
            0x1100C085, //        add  w5, w4, #'0'
            0x11015C86, //        add  w6, w4, #'a' - 10
            0x1A8630A5, //        csel w5, w5, w6, lo
            0xB9000005, //        str  w5, [x0]
            0x71001042, //        subs w2, w2, #4
            0x54FFFF0A, //        b.ge digit
            0x52800145, //        mov  w5, #'\n'
            0xB9000005, //        str  w5, [x0]
            0x91000421, //        add  x1, x1, #1
            0xD53BE045, //        mrs  x5, cntvct_el0
            0x8B0900A5, //        add  x5, x5, x9
            0xD51BE345, //        msr  cntv_cval_el0, x5
            0xD503207F, // wait:  wfi
            0xD53BE046, //        mrs  x6, cntvct_el0
            0xEB0500DF, //        cmp  x6, x5
            0x54FFFFA3, //        b.lo wait
            0x17FFFFEB, //        b    line
        }.SelectMany(BitConverter.GetBytes),
    ];

    /// <summary>How it ran twice at a moment; null if it never did.</summary>
    public string? FindOverlap() => Of(log => log.FindOverlap());

    /// <summary>How often its guest began.</summary>
    public int Boots() => Of(log => log.Boots);

    /// <summary>The nodes at which it ran, one after the other.</summary>
    public IReadOnlyList<int> Places() => Of(log => log.Places);

    /// <summary>The node of the last line, and how long ago it was.</summary>
    public (int Node, TimeSpan Age) Last() =>
        Of(log => log.Last is { } last ? (last.Node, Stopwatch.GetElapsedTime(_started) - last.At) : (0, TimeSpan.MaxValue));

    /// <summary>The longest time between two lines.</summary>
    public TimeSpan LongestGap() => Of(log => log.LongestGap);

    public void Dispose()
    {
        _stop.Cancel();
        Array.ForEach(_threads, thread => thread.Join());
        _stop.Dispose();
    }

    private T Of<T>(Func<StampLog, T> ask)
    {
        lock (_log)
        {
            return ask(_log);
        }
    }

    private void Read(int node, string path)
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                if (File.Exists(path))
                {
                    using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 200 };
                    socket.Connect(new UnixDomainSocketEndPoint(path));
                    Read(node, socket);
                }
            }
            catch (SocketException)
            {
                // The process has ended, or does not listen yet.
            }

            _stop.Token.WaitHandle.WaitOne(10);
        }
    }

    // Until the connection ends: it is to one process.
    private void Read(int node, Socket socket)
    {
        int place = Interlocked.Increment(ref _processes);
        var line = new StringBuilder();
        byte[] bytes = new byte[4096];
        while (!_stop.IsCancellationRequested)
        {
            int count;
            try
            {
                count = socket.Receive(bytes);
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.TimedOut or SocketError.WouldBlock)
            {
                // The guest does not run now, or not yet.
                continue;
            }

            if (count == 0)
            {
                return;
            }

            TimeSpan now = Stopwatch.GetElapsedTime(_started);
            foreach (char c in Encoding.Latin1.GetString(bytes, 0, count))
            {
                if (c != '\n')
                {
                    line.Append(c);
                    continue;
                }

                // The first line that is read may be the rest of one.
                if (line.Length == 16 && ulong.TryParse(
                    line.ToString(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong value))
                {
                    lock (_log)
                    {
                        _log.Add(new Stamp(now, place, node, (uint)(value >> 32), (uint)value));
                    }
                }

                line.Clear();
            }
        }
    }
}
