using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Migration;

/// <summary>
/// Has the host give memory to pages of RAM before they come, on a thread of its own: giving a page takes the host as long as filling it.
/// </summary>
internal sealed class RamPrefault : IDisposable
{
    // How many pages are given at once, and how far ahead of the pages that come.
    private const int Step = 64;

    private readonly GuestMemory _ram;
    private readonly PageBits _expected;
    private readonly Thread _thread;

    // Set by the thread that fills RAM. They only say what is not worth the time any more.
    private volatile int _reached;
    private volatile bool _over;

    /// <param name="expected">The pages that will come, in their order. Nobody changes the set any more.</param>
    public RamPrefault(GuestMemory ram, PageBits expected)
    {
        (_ram, _expected) = (ram, expected);
        _thread = new Thread(Run) { Name = "prefault", IsBackground = true };
        _thread.Start();
    }

    /// <summary>The pages before this one have come.</summary>
    public void Reach(int page) => _reached = page;

    /// <summary>Returns when nothing of RAM is touched any more.</summary>
    public void Dispose()
    {
        _over = true;
        _thread.Join();
    }

    private void Run()
    {
        for (int next = 0; !_over;)
        {
            int first = _expected.Next(Math.Max(next, _reached + Step));
            if (first < 0)
            {
                return;
            }

            next = first + 1;
            while (next < _expected.Length && next - first < Step && _expected[next])
            {
                next++;
            }

            _ram.PopulateToWrite((ulong)first * GuestMemory.PageSize, (ulong)(next - first) * GuestMemory.PageSize);
        }
    }
}
