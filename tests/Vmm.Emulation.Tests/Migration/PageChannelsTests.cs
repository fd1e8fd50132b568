using Vmm.Emulation.Memory;
using Vmm.Emulation.Migration;
using ZstdSharp;

namespace Vmm.Emulation.Tests.Migration;

/// <summary>Pages over channels beside the stream: in any order within a pass, never across passes; cut, damaged and lying.</summary>
public sealed class PageChannelsTests : IDisposable
{
    private const int Pages = 512;
    private const int Channels = 3;

    private static readonly GuestPhysicalAddress s_start = new(0x4000_0000);
    private static readonly Guid s_session = Guid.NewGuid();

    private readonly List<GuestMemory> _memories = [];
    private int _failures;

    private GuestMemory NewRam()
    {
        var ram = new GuestMemory(s_start, Pages * GuestMemory.PageSize);
        _memories.Add(ram);
        return ram;
    }

    private static Span<byte> Page(GuestMemory ram, int page) =>
        ram.Span(s_start + ((ulong)page * GuestMemory.PageSize), GuestMemory.PageSize);

    private static void Scribble(GuestMemory ram, Random random, int page)
    {
        switch (random.Next(3))
        {
            case 0:
                Page(ram, page).Clear();
                break;
            case 1:
                Page(ram, page).Fill((byte)random.Next(1, 256));
                break;
            default:
                random.NextBytes(Page(ram, page));
                break;
        }

        ram.MarkWritten(s_start.Value + ((ulong)page * GuestMemory.PageSize), 1);
    }

    // The bytes of the stream and of each channel, when the guest writes the same pages in each pass.
    private (byte[] Main, byte[][] Channels) Send(GuestMemory ram, int? zstdLevel, int passes)
    {
        var random = new Random(5);
        using var main = new MemoryStream();
        MemoryStream[] streams = [.. Enumerable.Range(0, Channels).Select(_ => new MemoryStream())];
        var writer = new MigrationWriter(main);
        using (var channels = new PageChannels(writer, streams, s_session, zstdLevel))
        {
            var log = new DirtyLog(ram, () => { });
            var source = new RecordedRam(ram, log, writer, channels, new RateLimit());
            for (int page = 0; page < Pages; page += 2)
            {
                Scribble(ram, random, page);
            }

            source.SendAll(CancellationToken.None);
            for (int pass = 1; pass < passes; pass++)
            {
                for (int page = 100; page < 300; page++)
                {
                    Scribble(ram, random, page);
                }

                source.Send([.. log.Harvest()], limited: false, CancellationToken.None);
            }

            log.Stop();
            writer.Write(MigrationRecordKind.End);
            writer.Flush();
            Assert.Equal(channels.Written, main.Length + streams.Sum(s => s.ToArray().Length));
        }

        return (main.ToArray(), [.. streams.Select(s => s.ToArray())]);
    }

    // For a channel that does not come, because its first bytes are damaged.
    private static readonly TimeSpan s_short = TimeSpan.FromMilliseconds(300);

    // As IncomingLink reads. A channel that is `cut` ends; the others stay open.
    private void Receive(GuestMemory ram, byte[] main, byte[][] channels, int cut = -1, TimeSpan? timeout = null)
    {
        _failures = 0;
        using var stream = new MemoryStream(main);
        var reader = new MigrationReader(stream);
        using var sink = new RamSink(ram, reader);
        using var receiver = new PageChannelsReceiver(
            ram, s_session, Channels, timeout ?? Patience.Limit, _ => { }, () => Interlocked.Increment(ref _failures));
        for (int i = 0; i < channels.Length; i++)
        {
            receiver.Add(i == cut ? new MemoryStream(channels[i]) : new OpenStream(channels[i]));
        }

        MigrationRecord record;
        while ((record = reader.Next()).Kind != MigrationRecordKind.End)
        {
            if (record.Kind == MigrationRecordKind.Sync)
            {
                receiver.Sync(record.Argument, CancellationToken.None);
            }
            else
            {
                sink.Take(record);
            }
        }

        receiver.End();
        Assert.True(sink.Pages + receiver.Pages > 0);
    }

    [Theory]
    [InlineData(null)]
    [InlineData(1)]
    [InlineData(20)]
    public void Ram_arrives_as_it_was_in_the_last_pass(int? zstdLevel)
    {
        GuestMemory from = NewRam();
        (byte[] main, byte[][] channels) = Send(from, zstdLevel, passes: 30);
        for (int i = 0; i < 10; i++)
        {
            GuestMemory to = NewRam();
            Receive(to, main, channels);
            Assert.True(from.Span(s_start, (int)from.Size).SequenceEqual(to.Span(s_start, (int)to.Size)), $"time {i}");
        }

        Assert.All(channels, c => Assert.True(c.Length > 10_000, "a channel has carried nothing"));
    }

    [Fact]
    public void Compression_saves_what_it_can()
    {
        long plain = Send(NewRam(), null, passes: 10).Channels.Sum(c => (long)c.Length);
        long packed = Send(NewRam(), 1, passes: 10).Channels.Sum(c => (long)c.Length);
        Assert.InRange(packed, plain / 4, plain * 2 / 3);
    }

    [Fact]
    public void Every_flipped_bit_of_a_channel_is_found()
    {
        (byte[] main, byte[][] channels) = Send(NewRam(), 1, passes: 3);
        int seed = Environment.TickCount;
        var random = new Random(seed);
        for (int i = 0; i < 300; i++)
        {
            byte[] channel = channels[random.Next(Channels)];
            int bit = random.Next(channel.Length * 8);
            channel[bit / 8] ^= (byte)(1 << (bit % 8));
            Exception found = Assert.ThrowsAny<Exception>(() => Receive(NewRam(), main, channels, timeout: s_short));
            Assert.True(found is MigrationException or IOException, $"seed {seed}, bit {bit}: {found}");
            Assert.DoesNotContain(found.Message, char.IsControl);
            channel[bit / 8] ^= (byte)(1 << (bit % 8));
        }

        Receive(NewRam(), main, channels);
    }

    [Fact]
    public void Channel_that_is_cut_is_a_lost_link()
    {
        (byte[] main, byte[][] channels) = Send(NewRam(), 1, passes: 3);
        var random = new Random(6);
        for (int i = 0; i < 100; i++)
        {
            byte[][] cut = [.. channels];
            cut[i % Channels] = channels[i % Channels][..random.Next(channels[i % Channels].Length)];
            Assert.ThrowsAny<IOException>(() => Receive(NewRam(), main, cut, i % Channels, s_short));
            Assert.InRange(_failures, 0, 1);
        }
    }

    [Fact]
    public void Sender_is_told_of_a_channel_that_is_lost()
    {
        GuestMemory ram = NewRam();
        new Random(1).NextBytes(ram.Span(s_start, (int)ram.Size));
        using var main = new MemoryStream();
        var writer = new MigrationWriter(main);
        using var channels = new PageChannels(writer, [new StuckStream(), new MemoryStream(new byte[100_000])], s_session, null);
        var source = new RecordedRam(ram, new DirtyLog(ram, () => { }), writer, channels, new RateLimit());
        Assert.Throws<IOException>(() => source.SendAll(CancellationToken.None));
    }

    private static byte[] Channel(Action<MigrationWriter> write, Guid? session = null, ulong number = 0)
    {
        using var stream = new MemoryStream();
        var writer = new MigrationWriter(stream);
        writer.WriteMagic();
        writer.Write(MigrationRecordKind.Channel, number, (session ?? s_session).ToByteArray());
        write(writer);
        writer.Flush();
        return stream.ToArray();
    }

    private static byte[] Frame(int bytes)
    {
        using var compressor = new Compressor(1);
        return compressor.Wrap(new byte[bytes]).ToArray();
    }

    private static ulong Range(uint first, ulong count) => first | (count << 32);

    public static TheoryData<string> Lies => [.. s_lies.Keys];

    private static readonly Dictionary<string, (Action<MigrationWriter> Write, string Message)> s_lies = new()
    {
        ["pages outside"] = (w => w.Write(MigrationRecordKind.Pages, Pages, new byte[GuestMemory.PageSize]), "not in RAM"),
        ["no whole page"] = (w => w.Write(MigrationRecordKind.Pages, 0, new byte[100]), "not in RAM"),
        ["frame outside"] = (w => w.Write(MigrationRecordKind.CompressedPages, Range(Pages - 1, 2), Frame(8192)), "not in RAM"),
        ["frame of no pages"] = (w => w.Write(MigrationRecordKind.CompressedPages, Range(0, 0), Frame(4096)), "not in RAM"),
        ["frame of all"] = (w => w.Write(MigrationRecordKind.CompressedPages, Range(0, uint.MaxValue), Frame(4096)), "not in RAM"),
        ["frame of many"] = (w => w.Write(MigrationRecordKind.CompressedPages, Range(0, 65), Frame(65 * 4096)), "too many"),
        ["frame too short"] = (w => w.Write(MigrationRecordKind.CompressedPages, Range(0, 2), Frame(4096)), "in place of 8192"),
        ["frame too long"] = (w => w.Write(MigrationRecordKind.CompressedPages, Range(0, 1), Frame(1 << 20)), "damaged"),
        ["no frame"] = (w => w.Write(MigrationRecordKind.CompressedPages, Range(0, 1), new byte[64]), "damaged"),
        ["zeros"] = (w => w.Write(MigrationRecordKind.ZeroPages, Range(0, 1)), "in place of pages"),
        ["an end"] = (w => w.Write(MigrationRecordKind.End), "in place of pages"),
        ["a later pass"] = (w => w.Write(MigrationRecordKind.Sync, 2), "ends pass 2 in place of 1"),
    };

    [Theory]
    [MemberData(nameof(Lies))]
    public void Channel_that_lies_is_refused(string lie)
    {
        (Action<MigrationWriter> write, string message) = s_lies[lie];
        GuestMemory ram = NewRam();
        using var receiver = new PageChannelsReceiver(
            ram, s_session, 1, Patience.Limit, _ => { }, () => Interlocked.Increment(ref _failures));
        receiver.Add(new MemoryStream(Channel(write)));
        MigrationException refused = Assert.Throws<MigrationException>(() => receiver.Sync(1, CancellationToken.None));
        Assert.Contains(message, refused.Message);
        Assert.DoesNotContain(refused.Message, char.IsControl);
        Assert.Equal(1, _failures);
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(0, true)]
    [InlineData(2, true)]
    public async Task Stranger_and_a_number_that_is_taken_or_none_are_turned_away(ulong number, bool session)
    {
        var told = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var receiver = new PageChannelsReceiver(
            NewRam(), s_session, 2, Patience.Limit, told.SetResult, () => Interlocked.Increment(ref _failures));
        using var first = new OpenStream(Channel(_ => { }));
        receiver.Add(first);
        first.AwaitRead();
        receiver.Add(new MemoryStream(Channel(_ => { }, session ? s_session : Guid.NewGuid(), number)));
        Assert.Contains("no multifd channel of this migration", await told.Task.WaitAsync(Patience.Limit), StringComparison.Ordinal);
        Assert.False(receiver.AllCame.IsCancellationRequested);
        using var second = new OpenStream(Channel(_ => { }, number: 1));
        receiver.Add(second);
        Assert.True(receiver.AllCame.WaitHandle.WaitOne(Patience.Limit));
        Assert.Equal(0, _failures);
    }

    public void Dispose() => _memories.ForEach(m => m.Dispose());

    // Takes nothing, so that all pages go to the other channels.
    private sealed class StuckStream : MemoryStream
    {
        private readonly ManualResetEventSlim _closed = new();

        public override void Write(ReadOnlySpan<byte> buffer) => _closed.Wait();

        protected override void Dispose(bool disposing)
        {
            _closed.Set();
            base.Dispose(disposing);
        }
    }

    // Has no end: it waits when all is read.
    private sealed class OpenStream(byte[] bytes) : MemoryStream(bytes)
    {
        private readonly ManualResetEventSlim _read = new();
        private readonly ManualResetEventSlim _closed = new();

        public void AwaitRead() => Assert.True(_read.Wait(Patience.Limit));

        public override int Read(Span<byte> buffer)
        {
            int read = base.Read(buffer);
            if (read == 0)
            {
                _read.Set();
                _closed.Wait();
            }

            return read;
        }

        protected override void Dispose(bool disposing)
        {
            _closed.Set();
            base.Dispose(disposing);
        }
    }
}
