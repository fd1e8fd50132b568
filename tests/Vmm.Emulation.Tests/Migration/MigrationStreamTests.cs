using System.Diagnostics;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Migration;
using Vmm.Emulation.Snapshots;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Tests.Migration;

/// <summary>RAM and state through a stream, whole, cut and damaged.</summary>
public sealed class MigrationStreamTests
{
    private const int Pages = 512;

    private static readonly GuestPhysicalAddress s_start = new(0x4000_0000);

    private static GuestMemory NewRam() => new(s_start, Pages * GuestMemory.PageSize);

    private static Span<byte> Page(GuestMemory ram, int page) =>
        ram.Span(s_start + ((ulong)page * GuestMemory.PageSize), GuestMemory.PageSize);

    private static SavedMachine Machine =>
        new("virt", Pages * GuestMemory.PageSize, s_start.Value, true, false, null, null, "max", 0xF0510, 48, [], 2, 0, 1, 1, 4, 1);

    private static void Fill(GuestMemory ram, Random random, int count)
    {
        for (int i = 0; i < count; i++)
        {
            random.NextBytes(Page(ram, random.Next(Pages)));
        }
    }

    // A sender's stream, as OutgoingLink writes it.
    private static byte[] Send(GuestMemory ram)
    {
        using var stream = new MemoryStream();
        var writer = new MigrationWriter(stream);
        writer.WriteMagic();
        writer.Write(MigrationRecordKind.Hello, 0, new MigrationHello("1", Guid.Empty, false, Machine).ToJson());
        new RecordedRam(ram, new DirtyLog(ram, () => { }), writer, writer, new RateLimit()).SendAll(CancellationToken.None);
        using var archive = new MemoryStream();
        Archive.Write(archive, [new SavedUnit("psci", 1, new byte[4])]);
        writer.Write(MigrationRecordKind.State, 0, archive.ToArray());
        writer.Write(MigrationRecordKind.End, 1);
        writer.Flush();
        return stream.ToArray();
    }

    // A receiver, as IncomingLink reads.
    private static void Receive(byte[] stream, GuestMemory ram)
    {
        using var input = new MemoryStream(stream);
        var reader = new MigrationReader(input);
        reader.ReadMagic();
        reader.Expect(MigrationRecordKind.Hello);
        MigrationHello.Parse(reader.ReadPayload()).RequireFits(Machine);
        var sink = new RamSink(ram, reader);
        MigrationRecord record;
        while ((record = reader.Next()).Kind != MigrationRecordKind.End)
        {
            if (record.Kind == MigrationRecordKind.State)
            {
                Archive.Read(reader.ReadPayload());
            }
            else
            {
                sink.Take(record);
            }
        }
    }

    [Fact]
    public void Ram_arrives_as_it_was_and_zeros_are_not_sent()
    {
        using GuestMemory from = NewRam();
        using GuestMemory to = NewRam();
        Fill(from, new Random(1), 40);
        byte[] stream = Send(from);
        Assert.True(stream.Length < 41 * (GuestMemory.PageSize + MigrationRecord.HeaderSize) + 2048, $"{stream.Length} bytes");
        Receive(stream, to);
        Assert.Equal(from.Span(s_start, (int)from.Size), to.Span(s_start, (int)to.Size));
    }

    [Fact]
    public void Pages_that_are_written_between_passes_arrive_as_they_are_last()
    {
        using GuestMemory from = NewRam();
        using GuestMemory to = NewRam();
        var random = new Random(2);
        Fill(from, random, 100);
        using var stream = new MemoryStream();
        var writer = new MigrationWriter(stream);
        var log = new DirtyLog(from, () => { });
        var source = new RecordedRam(from, log, writer, writer, new RateLimit());
        source.SendAll(CancellationToken.None);
        for (int pass = 0; pass < 20; pass++)
        {
            for (int i = 0; i < 30; i++)
            {
                int page = random.Next(Pages);
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

            source.Send([.. log.Harvest()], limited: false, CancellationToken.None);
        }

        log.Stop();
        var reader = new MigrationReader(stream);
        var sink = new RamSink(to, reader);
        writer.Write(MigrationRecordKind.End);
        writer.Flush();
        stream.Position = 0;
        for (MigrationRecord record = reader.Next(); record.Kind != MigrationRecordKind.End; record = reader.Next())
        {
            sink.Take(record);
        }

        Assert.Equal(from.Span(s_start, (int)from.Size), to.Span(s_start, (int)to.Size));
    }

    [Fact]
    public void Stream_that_is_cut_anywhere_is_refused()
    {
        using GuestMemory from = NewRam();
        using GuestMemory to = NewRam();
        Fill(from, new Random(3), 3);
        byte[] stream = Send(from);
        var random = new Random(4);
        for (int i = 0; i < 300; i++)
        {
            byte[] cut = stream[..random.Next(stream.Length)];
            Assert.Throws<EndOfStreamException>(() => Receive(cut, to));
        }
    }

    [Fact]
    public void Every_flipped_bit_is_found()
    {
        using GuestMemory from = NewRam();
        using GuestMemory to = NewRam();
        Fill(from, new Random(5), 3);
        byte[] stream = Send(from);
        var random = new Random(6);
        for (int i = 0; i < 10_000; i++)
        {
            int bit = random.Next(stream.Length * 8);
            stream[bit / 8] ^= (byte)(1 << (bit % 8));
            Exception? found = Record.Exception(() => Receive(stream, to));
            Assert.True(found is MigrationException or EndOfStreamException, $"bit {bit}: {found}");
            stream[bit / 8] ^= (byte)(1 << (bit % 8));
        }
    }

    [Fact]
    public void Records_that_are_right_but_lie_take_no_memory_and_touch_nothing_else()
    {
        using GuestMemory ram = NewRam();
        (MigrationRecordKind Kind, ulong Argument, int Length)[] lies =
        [
            (MigrationRecordKind.Pages, Pages, GuestMemory.PageSize), (MigrationRecordKind.Pages, Pages - 1, 2 * GuestMemory.PageSize),
            (MigrationRecordKind.Pages, ulong.MaxValue, GuestMemory.PageSize), (MigrationRecordKind.Pages, 0, 100),
            (MigrationRecordKind.Pages, 0, 0), (MigrationRecordKind.ZeroPages, 0, 0), (MigrationRecordKind.ZeroPages, ulong.MaxValue, 0),
            (MigrationRecordKind.ZeroPages, ((ulong)Pages << 32) | 1, 0), (MigrationRecordKind.Ready, 0, 0),
            (MigrationRecordKind.Hello, 0, 8),
        ];
        foreach ((MigrationRecordKind kind, ulong argument, int length) in lies)
        {
            using var stream = new MemoryStream();
            var writer = new MigrationWriter(stream);
            writer.Write(kind, argument, new byte[length]);
            writer.Flush();
            stream.Position = 0;
            var reader = new MigrationReader(stream);
            var sink = new RamSink(ram, reader);
            Assert.Throws<MigrationException>(() => sink.Take(reader.Next()));
        }
    }

    [Fact]
    public void Length_is_taken_from_memory_only_as_it_comes()
    {
        // A header that promises a gigabyte of state, and then nothing.
        byte[] header = new byte[MigrationRecord.HeaderSize];
        new MigrationRecord(MigrationRecordKind.State, 256 << 20, 0, 0).Write(header);
        using var stream = new MemoryStream(header);
        var reader = new MigrationReader(stream);
        reader.Next();
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<EndOfStreamException>(() => reader.ReadPayload());
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 1 << 20);
    }

    [Fact]
    public void Foreign_stream_and_later_version_are_named()
    {
        using var foreign = new MemoryStream("GET / HTTP/1.1\r\n\r\n"u8.ToArray());
        Assert.Contains(
            "is no migration of Vmm", Assert.Throws<MigrationException>(() => new MigrationReader(foreign).ReadMagic()).Message);
        using var later = new MemoryStream("VMMMIGR\x09"u8.ToArray());
        Assert.Contains("version 9", Assert.Throws<MigrationException>(() => new MigrationReader(later).ReadMagic()).Message);
    }

    [Fact]
    public void Rate_is_kept()
    {
        // Only a rate that is too high fails: a machine under load makes it lower.
        var limit = new RateLimit { BytesPerSecond = 100_000_000 };
        long began = Stopwatch.GetTimestamp();
        for (int i = 0; i < 40; i++)
        {
            limit.Spend(1_000_000, CancellationToken.None);
        }

        Assert.True(Stopwatch.GetElapsedTime(began) > TimeSpan.FromMilliseconds(300), $"{Stopwatch.GetElapsedTime(began)}");
    }

    [Fact]
    public void Page_that_is_asked_for_again_and_again_is_sent_once()
    {
        using GuestMemory ram = NewRam();
        using var asked = new MemoryStream();
        var asker = new MigrationWriter(asked);
        for (int i = 0; i < 100_000; i++)
        {
            asker.Write(MigrationRecordKind.Request, (ulong)(i % 2));
        }

        asker.Write(MigrationRecordKind.Complete);
        asker.Flush();
        asked.Position = 0;
        var missing = new PageBits(ram);
        missing[1] = true;
        using var sent = new MemoryStream();
        var server = new PageServer(ram, new MigrationReader(asked), new MigrationWriter(sent), missing, new RateLimit());
        server.Run(CancellationToken.None);
        Assert.Equal(2, server.Requested);
        Assert.Equal(2 * MigrationRecord.HeaderSize, sent.Length);
    }

    [Fact]
    public void Wait_for_the_rate_ends_when_it_is_stopped()
    {
        var limit = new RateLimit { BytesPerSecond = 1 };
        using var stop = new CancellationTokenSource();
        var waiting = Task.Run(() => limit.Spend(1_000_000, stop.Token));
        stop.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(() => waiting.GetAwaiter().GetResult());
    }

    [Fact]
    public void Pages_that_were_touched_are_present()
    {
        using GuestMemory ram = NewRam();
        Page(ram, 7)[0] = 1;
        Page(ram, Pages - 1)[0] = 1;
        bool[] present = ram.PresentPages();
        Assert.True(present[7]);
        Assert.True(present[Pages - 1]);
        Assert.True(present.Count(p => p) < Pages);
    }
}
