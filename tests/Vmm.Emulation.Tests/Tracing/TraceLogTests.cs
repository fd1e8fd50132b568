using System.Text;
using Vmm.Emulation.Tracing;

namespace Vmm.Emulation.Tests.Tracing;

public sealed class TraceLogTests
{
    // Keeps what it is given after its disposal; can be made to wait or to fail.
    private sealed class Sink : MemoryStream
    {
        public ManualResetEventSlim Open { get; } = new(true);

        public bool Full { get; set; }

        public override void Write(byte[] buffer, int offset, int count)
        {
            Open.Wait();
            if (Full)
            {
                throw new IOException("no space left on device");
            }

            lock (Open)
            {
                base.Write(buffer, offset, count);
            }
        }

        public int CountLines()
        {
            lock (Open)
            {
                return GetBuffer().AsSpan(0, (int)Length).Count((byte)'\n');
            }
        }

        public string[] Lines => Encoding.UTF8.GetString(ToArray()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    private const int LinesThatOverflow = TraceLog.BufferSize / 8;

    [Fact]
    public void Lines_of_a_thread_come_out_whole_and_in_order()
    {
        var sink = new Sink();
        using (var trace = new TraceLog(sink, TraceCategories.Psci))
        {
            Parallel.For(0, 4, thread =>
            {
                for (int i = 0; i < 5000; i++)
                {
                    trace.Write(TraceCategories.Psci, $"{thread} {i}");
                }
            });
        }

        string[][] fields = [.. sink.Lines.Select(l => l.Split(' '))];
        Assert.Equal(20_000, fields.Length);
        Assert.All(fields, f => Assert.Equal("psci", f[1]));
        for (int thread = 0; thread < 4; thread++)
        {
            Assert.Equal(Enumerable.Range(0, 5000), fields.Where(f => f[2] == $"{thread}").Select(f => int.Parse(f[3])));
        }
    }

    [Fact]
    public void Stream_that_fails_loses_lines_but_throws_nothing()
    {
        var sink = new Sink { Full = true };
        using var trace = new TraceLog(sink, TraceCategories.Irq);
        for (int i = 0; i < LinesThatOverflow; i++)
        {
            trace.Write(TraceCategories.Irq, "line");
        }

        Patience.Until(() => trace.Failure != null, "the stream fails");
        trace.Write(TraceCategories.Irq, "line");
        Assert.Contains("no space", trace.Failure, StringComparison.Ordinal);
        Assert.True(trace.Lost > 0);
    }

    [Fact]
    public void Stream_that_waits_delays_a_writer_once_and_the_trace_says_what_is_missing()
    {
        var sink = new Sink();
        var trace = new TraceLog(sink, TraceCategories.Irq);
        sink.Open.Reset();
        var watch = System.Diagnostics.Stopwatch.StartNew();
        for (int i = 0; i < LinesThatOverflow; i++)
        {
            trace.Write(TraceCategories.Irq, "line");
        }

        // Two buffers fill up, each with a wait at its end at most.
        Assert.True(watch.Elapsed < LinesThatOverflow / 100 * TraceLog.Patience, $"{watch.Elapsed}");
        Assert.True(trace.Lost > 0);
        sink.Open.Set();
        long lost = trace.Lost;
        Patience.Until(() => sink.CountLines() == LinesThatOverflow - lost, "both buffers are written");
        trace.Write(TraceCategories.Irq, "line");
        trace.Dispose();
        Assert.Equal(lost, trace.Lost);
        Assert.Contains($"({lost} lines are missing here)", sink.Lines);
        Assert.Equal(LinesThatOverflow + 1, sink.Lines.Count(l => l.EndsWith(" irq line", StringComparison.Ordinal)) + lost);
    }

    [Fact]
    public void Line_after_the_end_is_lost_quietly()
    {
        var trace = new TraceLog(new Sink(), TraceCategories.Irq);
        trace.Dispose();
        trace.Write(TraceCategories.Irq, "line");
        trace.Dispose();
        Assert.Equal(1, trace.Lost);
    }

    [Theory]
    [InlineData("insn", TraceCategories.Insn)]
    [InlineData("mmio,irq,psci,acpi,hotplug",
        TraceCategories.Mmio | TraceCategories.Irq | TraceCategories.Psci | TraceCategories.Acpi | TraceCategories.Hotplug)]
    public void Names_make_categories(string list, TraceCategories categories) => Assert.Equal(categories, TraceCategoryNames.Parse(list));

    [Theory]
    [InlineData("")]
    [InlineData("none")]
    [InlineData("insn,")]
    [InlineData("Insn")]
    [InlineData("insn,mmu")]
    public void Unknown_name_is_refused_with_a_list_of_those_there_are(string list)
    {
        string message = Assert.Throws<FormatException>(() => TraceCategoryNames.Parse(list)).Message;
        Assert.EndsWith(
            "there are insn,mmio,irq,psci,acpi,hotplug,in_asm,op,out_asm,guest_errors,migration", message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }
}
