using System.Runtime.InteropServices;
using Vmm.Emulation.Cpu.Jit.Plan;

namespace Vmm.Emulation.Cpu.Interpreter;

/// <summary>
/// The decoded instructions of a vCPU with a translator that are interpreted because they are not executed often. Each is at its place in
/// a page, because a handler finds the target of a jump inside the page from its own op. Owner: the vCPU's thread.
/// </summary>
internal sealed unsafe class ColdOps : IDisposable
{
    // Instructions that are decoded at once at most.
    private const int MaxLength = 12;

    // Among so many runs, the first of the vCPU, the limit is higher: a guest that comes from elsewhere is waited for, and translating
    // takes as long as interpreting some ten times.
    private const int EarlyRuns = 5000;
    private const int EarlyFactor = 5;

    private int _earlyRuns;

    // Made when the vCPU first runs.
    private Op* _ops;

    /// <summary>
    /// Decodes what is executed from a word of a page on, past conditional branches as a block does, so that what follows them is counted
    /// with it and does not become a block of its own. Nothing if that was done often enough for that word, or the page was given up. What
    /// was decoded before is no longer there.
    /// </summary>
    /// <param name="limit">How often it is done for a word; five times as often among the first runs of the vCPU.</param>
    /// <returns>How many ops there are.</returns>
    public int Decode(CodeCache code, CodePage page, int word, int limit)
    {
        lock (code.Lock)
        {
            bool isEarly = _earlyRuns < EarlyRuns;
            if (page.Stale || page.Executions(word) >= (isEarly ? limit * EarlyFactor : limit))
            {
                return 0;
            }

            _earlyRuns += isEarly ? 1 : 0;
            Op* first = At(word);
            Op* op = first;
            do
            {
                *op = new Op { Offset = (ushort)(word * sizeof(uint)) };
                code.Fill(op, page.Read(word));
                word++;
            }
            while (!Ends(op++) && op - first < MaxLength && word < CodePage.Words);

            page.NoteExecution((int)(first - At(0)));
            return (int)(op - first);
        }
    }

    /// <summary>The place of a word of a page.</summary>
    public Op* At(int word) => (_ops != null ? _ops : _ops = Allocate()) + word;

    /// <summary>Whether an op is, or would be, one of these.</summary>
    public bool Holds(Op* op) => op >= _ops && op < _ops + CodePage.Words;

    public void Dispose()
    {
        NativeMemory.Free(_ops);
        _ops = null;
    }

    // The host gives memory to those alone that are used.
    private static Op* Allocate() => (Op*)NativeMemory.AllocZeroed(CodePage.Words, (nuint)sizeof(Op));

    private static bool Ends(Op* op) => BlockPlan.SeldomFallsThrough(op) || BlockPlan.IsUnconditional(op->Word);
}
