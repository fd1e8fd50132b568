using System.Numerics;
using static Vmm.Emulation.Interrupts.GicV3.ItsSpec;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <summary>
/// The LPIs that are pending for one CPU, a bit each, with a bit for each word that is not zero, and the best of them. The lock of the <see
/// cref="Gic"/> guards it.
/// </summary>
/// <param name="configuration">The priorities and enables of all LPIs.</param>
internal sealed class LpiSet(LpiConfiguration configuration)
{
    private const int BitsOfWord = 64;
    private const int Words = (EndOfLpis - FirstLpi) / BitsOfWord;
    private const int None = 0;
    private const int Unknown = -1;

    private readonly ulong[] _bits = new ulong[Words];
    private readonly ulong[] _used = new ulong[(Words + BitsOfWord - 1) / BitsOfWord];

    // The enabled LPI with the highest priority; None without, Unknown when it must be looked for.
    private int _best = None;
    private int _bestPriority;

    /// <summary>How many are pending, enabled or not.</summary>
    public int Count { get; private set; }

    public bool Contains(int id) => (_bits[(id - FirstLpi) / BitsOfWord] & (1ul << (id % BitsOfWord))) != 0;

    public void Add(int id)
    {
        int word = (id - FirstLpi) / BitsOfWord;
        ulong bit = 1ul << (id % BitsOfWord);
        if ((_bits[word] & bit) == 0)
        {
            _bits[word] |= bit;
            _used[word / BitsOfWord] |= 1ul << (word % BitsOfWord);
            Count++;
            Consider(id);
        }
    }

    public bool Remove(int id)
    {
        int word = (id - FirstLpi) / BitsOfWord;
        ulong bit = 1ul << (id % BitsOfWord);
        if ((_bits[word] & bit) == 0)
        {
            return false;
        }

        _bits[word] &= ~bit;
        if (_bits[word] == 0)
        {
            _used[word / BitsOfWord] &= ~(1ul << (word % BitsOfWord));
        }

        Count--;
        _best = _best == id ? Unknown : _best;
        return true;
    }

    /// <summary>The configuration of LPIs has changed.</summary>
    public void Reconsider() => _best = Count == 0 ? None : Unknown;

    /// <summary>Finds the best LPI that is enabled; a better candidate is kept.</summary>
    public void Best(ref int best, ref int bestPriority)
    {
        if (_best == Unknown)
        {
            _best = None;
            foreach (int id in this)
            {
                Consider(id);
            }
        }

        if (_best != None && _bestPriority < bestPriority)
        {
            best = _best;
            bestPriority = _bestPriority;
        }
    }

    public Enumerator GetEnumerator() => new(this);

    private void Consider(int id)
    {
        if (_best != Unknown && configuration.IsEnabled(id) && (_best == None || configuration.PriorityOf(id) < _bestPriority))
        {
            (_best, _bestPriority) = (id, configuration.PriorityOf(id));
        }
    }

    /// <summary>The LPIs in ascending order. Those that are removed meanwhile may come or not.</summary>
    public ref struct Enumerator(LpiSet set)
    {
        private int _word = -1;
        private ulong _left;

        public int Current { get; private set; }

        public bool MoveNext()
        {
            while (_left == 0)
            {
                if (++_word == Words)
                {
                    return false;
                }

                // Skips 64 words at once where all are zero.
                if (_word % BitsOfWord == 0 && set._used[_word / BitsOfWord] == 0)
                {
                    _word = Math.Min(_word + BitsOfWord, Words) - 1;
                    continue;
                }

                _left = set._bits[_word];
            }

            Current = FirstLpi + (_word * BitsOfWord) + BitOperations.TrailingZeroCount(_left);
            _left &= _left - 1;
            return true;
        }
    }
}
