using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Migration;
using Vmm.Emulation.Snapshots;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Tests.Migration;

/// <summary>A machine in one file whose RAM can be mapped: whole, written while its guest runs, cut, damaged and foreign.</summary>
public sealed class MappedFileTests : IDisposable
{
    private const int Pages = 1029;
    private const int Flips = 4000;

    private static readonly GuestPhysicalAddress s_start = new(0x4000_0000);
    private static readonly SavedMigration s_migration = new(Guid.NewGuid(), Running: true);

    private readonly string _path = Path.Combine(Path.GetTempPath(), $"vmm-mapped-{Guid.NewGuid():N}");
    private readonly List<GuestMemory> _memories = [];

    private static SavedMachine Machine =>
        new("virt", Pages * GuestMemory.PageSize, s_start.Value, true, false, null, null, "max", 0xF0510, 48, [], 2, 0, 1, 1, 4, 1);

    private static SavedCpu[] Cpus { get; } = [new(0, "cpu-0", true), new(1, "cpu-1", true), new(2, "", false), new(3, "", false)];

    private GuestMemory NewRam()
    {
        var ram = new GuestMemory(s_start, Pages * GuestMemory.PageSize);
        _memories.Add(ram);
        return ram;
    }

    private static Span<byte> Page(GuestMemory ram, int page) =>
        ram.Span(s_start + ((ulong)page * GuestMemory.PageSize), GuestMemory.PageSize);

    private GuestMemory Filled(int seed)
    {
        GuestMemory ram = NewRam();
        var random = new Random(seed);
        for (int i = 0; i < 60; i++)
        {
            random.NextBytes(Page(ram, random.Next(Pages / 2)));
        }

        random.NextBytes(Page(ram, Pages - 1));
        return ram;
    }

    // As OutgoingFile writes it; `change` is called between passes.
    private void Save(GuestMemory ram, long offset = 0, Func<IReadOnlyList<int>>? change = null)
    {
        using SafeFileHandle file = File.OpenHandle(_path, FileMode.OpenOrCreate, FileAccess.ReadWrite);
        RandomAccess.SetLength(file, offset);
        using var writer = new MappedFileWriter(file, offset, ram);
        var log = new DirtyLog(ram, () => { });
        var source = new FiledRam(ram, log, writer, new RateLimit());
        source.SendAll(CancellationToken.None);
        while (change?.Invoke() is { Count: > 0 })
        {
            source.Send([.. log.Harvest()], limited: false, CancellationToken.None);
        }

        log.Stop();
        writer.Finish([new SavedUnit("psci", 1, new byte[4])], "1", DateTimeOffset.UnixEpoch, 5, Machine, Cpus, s_migration);
    }

    // As IncomingFile reads it; all of the file is looked at.
    private void Load(GuestMemory ram, long offset = 0)
    {
        using Snapshot saved = MappedFile.Open(File.OpenHandle(_path), offset, _path);
        saved.RequireFits(Machine);
        saved.CheckMap();
        saved.ReadState();
        Assert.Equal(s_migration, saved.Manifest.Migration);
        saved.LoadRam(ram);
        new MappedRam(saved, ram, () => false).Read();
        saved.Verify();
    }

    private string Failure(long offset = 0)
    {
        string message = Assert.Throws<SnapshotException>(() => Load(NewRam(), offset)).Message;
        Assert.DoesNotContain(message, char.IsControl);
        Assert.StartsWith($"file '{_path}'", message, StringComparison.Ordinal);
        return message;
    }

    private static void RequireSame(GuestMemory one, GuestMemory other) =>
        Assert.True(one.Span(s_start, (int)one.Size).SequenceEqual(other.Span(s_start, (int)other.Size)));

    private long BytesOnDisk()
    {
        using Process du = Process.Start(new ProcessStartInfo("du", ["-B1", _path]) { RedirectStandardOutput = true })!;
        return long.Parse(du.StandardOutput.ReadToEnd().Split('\t')[0], provider: null);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(123)]
    public void Ram_is_at_its_place_and_zeros_are_holes(long offset)
    {
        GuestMemory from = Filled(1);
        File.WriteAllBytes(_path, new byte[offset]);
        Save(from, offset);
        GuestMemory to = Filled(2);
        Load(to, offset);
        RequireSame(from, to);
        long wanted = 61 * GuestMemory.PageSize;
        Assert.InRange(BytesOnDisk(), 1, wanted + (256 << 10));
        byte[] file = File.ReadAllBytes(_path);
        long ram = (offset + (64 << 10)) & ~0xFFFFL;
        Assert.True(from.Span(s_start, (int)from.Size).SequenceEqual(file.AsSpan((int)ram, (int)from.Size)));
    }

    [Fact]
    public void Pages_that_are_written_between_passes_are_as_they_were_last()
    {
        GuestMemory from = Filled(1);
        var random = new Random(3);
        int pass = 0;
        Save(from, change: () =>
        {
            int[] pages = [.. Enumerable.Range(0, pass++ < 20 ? 30 : 0).Select(_ => random.Next(Pages))];
            foreach (int page in pages)
            {
                if (random.Next(3) == 0)
                {
                    Page(from, page).Clear();
                }
                else
                {
                    random.NextBytes(Page(from, page));
                }

                from.MarkWritten(s_start.Value + ((ulong)page * GuestMemory.PageSize), 1);
            }

            return pages;
        });
        GuestMemory to = NewRam();
        Load(to);
        RequireSame(from, to);
    }

    /// <summary>A guest that goes on from a file is saved again, though the host has memory for little of its RAM.</summary>
    [Fact]
    public void Ram_that_was_mapped_and_not_touched_is_saved_again()
    {
        GuestMemory from = Filled(1);
        Save(from);
        GuestMemory mapped = NewRam();
        Load(mapped);
        File.Delete(_path);
        Page(mapped, 7).Fill(7);
        Page(mapped, Pages - 2).Fill(9);
        Save(mapped);
        GuestMemory to = NewRam();
        Load(to);
        Page(from, 7).Fill(7);
        Page(from, Pages - 2).Fill(9);
        RequireSame(from, to);
        Assert.InRange(BytesOnDisk(), 1, (64 * GuestMemory.PageSize) + (256 << 10));

        // What was mapped is gone with a reset.
        mapped.Clear();
        Assert.DoesNotContain(true, mapped.PresentPages());
    }

    [Fact]
    public void Every_flipped_bit_is_found()
    {
        Save(Filled(1));
        byte[] whole = File.ReadAllBytes(_path);
        int seed = Environment.TickCount;
        var random = new Random(seed);
        using SafeFileHandle file = File.OpenHandle(_path, FileMode.Open, FileAccess.Write);
        for (int i = 0; i < Flips; i++)
        {
            // Nobody reads what is between the head and RAM. The small parts are damaged as often as RAM.
            int at = random.Next(3) switch
            {
                0 => random.Next(MappedFile.HeadSize),
                1 => random.Next(64 << 10, (64 << 10) + (Pages * GuestMemory.PageSize)),
                _ => random.Next((64 << 10) + (Pages * GuestMemory.PageSize), whole.Length),
            };
            int bit = random.Next(8);
            RandomAccess.Write(file, [(byte)(whole[at] ^ (1 << bit))], at);
            try
            {
                Failure();
            }
            catch (Exception e)
            {
                Assert.Fail($"seed {seed}: bit {bit} of byte {at}: {e.Message}");
            }

            RandomAccess.Write(file, whole.AsSpan(at, 1), at);
        }

        Load(NewRam());
    }

    [Fact]
    public void File_that_is_cut_anywhere_or_longer_is_refused()
    {
        Save(Filled(1));
        byte[] whole = File.ReadAllBytes(_path);
        var random = new Random(4);
        int[] lengths =
            [0, 1, 7, 8, 31, 32, 33, 4096, 64 << 10, whole.Length - 1, .. Enumerable.Range(0, 40).Select(_ => random.Next(whole.Length))];
        foreach (int length in lengths)
        {
            File.WriteAllBytes(_path, whole[..length]);
            Failure();
        }

        File.WriteAllBytes(_path, [.. whole, 0]);
        Assert.Contains("not as many as were written", Failure());
    }

    [Fact]
    public void Save_that_was_cut_off_says_so()
    {
        Save(Filled(1));
        using (SafeFileHandle file = File.OpenHandle(_path, FileMode.Open, FileAccess.Write))
        {
            RandomAccess.Write(file, new byte[MappedFile.HeadSize], 0);
        }

        Assert.Contains("it was not written to its end", Failure());
    }

    [Theory]
    [InlineData("")]
    [InlineData("short")]
    [InlineData("VMMMIGR\u0001 a stream, and then as many bytes as a head has")]
    [InlineData("#!/bin/sh\necho this is a script and no machine of anybody\n")]
    public void Foreign_file_is_refused(string text)
    {
        File.WriteAllText(_path, text);
        Assert.Contains("no machine that was saved with 'mapped-ram'", Failure());
    }

    [Fact]
    public void Other_version_is_named()
    {
        Save(Filled(1));
        byte[] whole = File.ReadAllBytes(_path);
        whole[7] = 2;
        File.WriteAllBytes(_path, whole);
        Assert.Contains("it has the version 2, but this program reads 1", Failure());
    }

    /// <summary>A head whose checksum is right takes no room for what it promises.</summary>
    [Theory]
    [InlineData(-1, 0, 0)]
    [InlineData(long.MaxValue, long.MaxValue, 0)]
    [InlineData(64 << 10, long.MaxValue, int.MaxValue)]
    [InlineData(64 << 10, long.MinValue, 0)]
    [InlineData(64 << 10, 64 << 10, int.MaxValue)]
    [InlineData(64 << 10, 64 << 10, -1)]
    [InlineData(32, 4096, 1 << 20)]
    [InlineData(0, 0, 0)]
    public void Hostile_head_is_refused(long ram, long manifest, int manifestLength)
    {
        Save(Filled(1));
        using (SafeFileHandle file = File.OpenHandle(_path, FileMode.Open, FileAccess.Write))
        {
            RandomAccess.Write(file, MappedFile.Head(ram, manifest, manifestLength), 0);
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        Failure();
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4 << 20);
    }

    /// <summary>A manifest that is right by itself, but not of this file.</summary>
    [Theory]
    [InlineData("\"memoryBytes\": 4214784", "\"memoryBytes\": 9223372036854771712")]
    [InlineData("\"memoryBytes\": 4214784", "\"memoryBytes\": 4210688")]
    [InlineData("\"length\": 4214784", "\"length\": 9223372036854775807")]
    [InlineData("\"length\": 1040", "\"length\": 9223372036854775807")]
    [InlineData("\"compression\": \"none\"", "\"compression\": \"zstd\"")]
    [InlineData("\"parent\": null", "\"parent\": {\"tag\": \"a\", \"crc32c\": \"00000000\"}")]
    [InlineData("\"migration\": {", "\"other\": {")]
    public void Manifest_that_is_not_of_the_file_is_refused(string what, string by)
    {
        Save(Filled(1));
        byte[] whole = File.ReadAllBytes(_path);
        long at = BinaryPrimitives.ReadInt64LittleEndian(whole.AsSpan(16));
        string text = Encoding.UTF8.GetString(whole.AsSpan((int)at));
        Assert.Contains(what, text);
        string body = text[..text.LastIndexOf(',')].Replace(what, by, StringComparison.Ordinal);
        byte[] manifest = Encoding.UTF8.GetBytes(
            $"{body},\n  \"crc32c\": \"{Crc32C.Of(Encoding.UTF8.GetBytes(body)):x8}\"\n}}\n");
        byte[] changed = [.. whole[..(int)at], .. manifest];
        MappedFile.Head(64 << 10, at, manifest.Length).CopyTo(changed, 0);
        File.WriteAllBytes(_path, changed);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Failure();
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4 << 20);
    }

    [Fact]
    public void File_that_was_moved_to_where_it_cannot_be_mapped_is_refused()
    {
        Save(Filled(1));
        File.WriteAllBytes(_path, [.. new byte[100], .. File.ReadAllBytes(_path)]);
        Assert.Contains("where this host cannot map it", Failure(offset: 100));
    }

    [Fact]
    public void Reader_of_streams_names_the_capability()
    {
        Save(Filled(1));
        using FileStream file = File.OpenRead(_path);
        Assert.Contains("'mapped-ram'", Assert.Throws<MigrationException>(new MigrationReader(file).ReadMagic).Message);
    }

    public void Dispose()
    {
        _memories.ForEach(m => m.Dispose());
        File.Delete(_path);
    }
}
