using Vmm.Emulation.Memory;

namespace Vmm.Tests;

/// <summary>
/// RAM that comes page by page while the guest runs: the part of the sender of a postcopy migration. Pages that are asked for come first,
/// the others in a random order beside them. What has not come is full of bytes that the guest must not see.
/// </summary>
internal sealed class ArrivingRam : IDisposable
{
    private const byte Wrong = 0xEE;
    private const int PageSize = GuestMemory.PageSize;

    private readonly MissingPages _missing;
    private readonly byte[] _bytes;
    private readonly int[] _order;
    private readonly Random _random;
    private readonly int _burst;
    private readonly Action? _disturb;
    private readonly Thread _sender;
    private volatile bool _stop;

    /// <param name="ram">Holds what is to come; no vCPU runs yet.</param>
    /// <param name="burst">How many pages come unasked in a millisecond, about.</param>
    /// <param name="disturb">Called now and then while pages are missing.</param>
    public ArrivingRam(GuestMemory ram, MissingPages missing, int seed, int burst, Action? disturb = null)
    {
        Span<byte> all = ram.Span(ram.Start, checked((int)ram.Size));
        _missing = missing;
        _bytes = all.ToArray();
        _random = new Random(seed);
        _burst = burst;
        _disturb = disturb;
        _order = [.. Enumerable.Range(0, _bytes.Length / PageSize)];
        _random.Shuffle(_order);
        all.Fill(Wrong);
        missing.Start(Bits(_order.Length, _order));
        _sender = new Thread(Send) { IsBackground = true, Name = "sender" };
    }

    /// <summary>Pages that came because they were asked for.</summary>
    public int Requested { get; private set; }

    public void Begin() => _sender.Start();

    /// <summary>Waits until all has come.</summary>
    public void Join() => _sender.Join();

    /// <summary>Pages as <see cref="MissingPages.Start"/> takes them.</summary>
    public static ulong[] Bits(int all, params IEnumerable<int> pages)
    {
        ulong[] bits = new ulong[(all + 63) / 64];
        foreach (int page in pages)
        {
            bits[page / 64] |= 1ul << (page % 64);
        }

        return bits;
    }

    public void Dispose()
    {
        _stop = true;
        _sender.Join();
    }

    private void Send()
    {
        int next = 0;
        while (!_stop && _missing.Count > 0)
        {
            _missing.Requests.WaitToReadAsync().AsTask().Wait(1);
            while (_missing.Requests.TryRead(out int page))
            {
                // A link with a delay: others are asked for meanwhile.
                if (_random.Next(16) == 0)
                {
                    _disturb?.Invoke();
                    Thread.Sleep(_random.Next(3));
                }

                Requested += Arrive(page) ? 1 : 0;
            }

            for (int i = 0; i < _burst && next < _order.Length; i++)
            {
                Arrive(_order[next++]);
            }
        }
    }

    private bool Arrive(int page)
    {
        ReadOnlySpan<byte> bytes = _bytes.AsSpan(page * PageSize, PageSize);
        bool wanted = _missing.Arrive(page, bytes.ContainsAnyExcept((byte)0) ? bytes : default);

        // A second copy must not take the place of what the guest has written since.
        return _missing.Arrive(page, bytes) ? throw new InvalidOperationException($"page {page} arrived twice") : wanted;
    }
}
