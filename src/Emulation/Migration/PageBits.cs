using System.Numerics;
using System.Runtime.InteropServices;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Migration;

/// <summary>A set of pages of RAM: a bit for each, the least significant of a word first. One thread at a time.</summary>
public sealed class PageBits
{
    private const int BitsOfWord = 64;
    private const int PagesAtOnce = MigrationRecord.LargestPages * 8;

    private readonly ulong[] _words;

    /// <param name="ram">Its pages, none of which is in the set.</param>
    public PageBits(GuestMemory ram)
    {
        Length = (int)(ram.Size / GuestMemory.PageSize);
        _words = new ulong[(Length + BitsOfWord - 1) / BitsOfWord];
    }

    /// <summary>The set that some words have as their bits.</summary>
    /// <param name="words">As many as RAM needs.</param>
    public static PageBits Of(GuestMemory ram, ReadOnlySpan<ulong> words)
    {
        var set = new PageBits(ram);
        words.CopyTo(set._words);
        foreach (ulong word in words)
        {
            set.Count += BitOperations.PopCount(word);
        }

        return set;
    }

    /// <summary>How many pages RAM has.</summary>
    public int Length { get; }

    public long Count { get; private set; }

    public ReadOnlySpan<ulong> Words => _words;

    public bool this[int page]
    {
        get => (_words[page / BitsOfWord] & (1ul << (page % BitsOfWord))) != 0;
        set
        {
            if (this[page] != value)
            {
                _words[page / BitsOfWord] ^= 1ul << (page % BitsOfWord);
                Count += value ? 1 : -1;
            }
        }
    }

    /// <summary>The first page of the set that is not before another; -1 for none.</summary>
    public int Next(int from)
    {
        if (from >= Length)
        {
            return -1;
        }

        ulong bits = _words[from / BitsOfWord] & (ulong.MaxValue << (from % BitsOfWord));
        for (int word = from / BitsOfWord; ; bits = _words[word])
        {
            if (bits != 0)
            {
                return (word * BitsOfWord) + BitOperations.TrailingZeroCount(bits);
            }

            if (++word == _words.Length)
            {
                return -1;
            }
        }
    }

    /// <summary>Writes the set as records of a kind.</summary>
    public void Write(MigrationWriter writer, MigrationRecordKind kind)
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(_words.AsSpan());
        for (int at = 0; at < bytes.Length; at += MigrationRecord.LargestPages)
        {
            writer.Write(kind, (ulong)at * 8, bytes.Slice(at, Math.Min(MigrationRecord.LargestPages, bytes.Length - at)));
        }
    }

    /// <summary>Adds the pages of a record whose header was read.</summary>
    /// <exception cref="MigrationException">It is damaged, or of pages that are not there.</exception>
    public void Read(MigrationRecord record, MigrationReader reader)
    {
        ulong first = record.Argument;
        if (record.Length % sizeof(ulong) != 0 || first % PagesAtOnce != 0
            || first / BitsOfWord + ((ulong)record.Length / sizeof(ulong)) > (ulong)_words.Length)
        {
            throw new MigrationException("the migration stream names pages that are not in RAM");
        }

        byte[] bytes = reader.ReadPayload();
        ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(bytes);
        for (int i = 0; i < words.Length; i++)
        {
            for (ulong bits = words[i]; bits != 0; bits &= bits - 1)
            {
                int page = (int)first + (i * BitsOfWord) + BitOperations.TrailingZeroCount(bits);
                if (page >= Length)
                {
                    throw new MigrationException("the migration stream names pages that are not in RAM");
                }

                this[page] = true;
            }
        }
    }
}
