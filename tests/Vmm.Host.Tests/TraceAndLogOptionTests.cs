using System.Globalization;
using Serilog.Core;
using Serilog.Events;
using Vmm.Emulation.Tracing;
using Vmm.Host.Logging;
using Vmm.Host.Options;

namespace Vmm.Host.Tests;

public sealed class TraceAndLogOptionTests : IDisposable
{
    private readonly string _file = Path.Combine(Path.GetTempPath(), $"vmm-option-{Guid.NewGuid():N}");

    public void Dispose() => File.Delete(_file);

    [Fact]
    public void Trace_goes_to_its_file_and_tells_the_time_of_day_first()
    {
        DateTime before = DateTime.UtcNow;
        using (TraceLog trace = TraceOption.Parse("psci,irq", _file).Open()!)
        {
            Assert.Equal(TraceCategories.Psci | TraceCategories.Irq, trace.Categories);
            trace.Write(TraceCategories.Psci, "call");
        }

        string[] lines = File.ReadAllLines(_file);
        Assert.Equal(2, lines.Length);
        Assert.EndsWith(" psci call", lines[1], StringComparison.Ordinal);
        Assert.Equal("time", lines[0].Split(' ')[1]);
        var said = DateTime.Parse(lines[0].Split(' ')[2], CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal);
        Assert.InRange(said, before.AddMilliseconds(-1), DateTime.UtcNow);
    }

    [Fact]
    public void No_trace_makes_no_file()
    {
        Assert.Null(TraceOption.Parse(null, null).Open());
        Assert.False(File.Exists(TraceOption.DefaultFile));
    }

    [Theory]
    [InlineData("mmu", null, "unknown trace category 'mmu'; there are insn,mmio,irq,psci,acpi,hotplug,in_asm,op,out_asm")]
    [InlineData(null, "file", "-trace-file or -D without -trace or -d")]
    [InlineData("insn", "/nonexistent/trace", "cannot write the trace '/nonexistent/trace'")]
    public void Trace_wrong_says_what_in_one_line(string? categories, string? file, string message)
    {
        string said = Assert.Throws<OptionException>(() => TraceOption.Parse(categories, file).Open()).Message;
        Assert.Contains(message, said, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', said);
    }

    [Fact]
    public void Log_of_a_level_goes_to_its_file()
    {
        using (Logger log = LogOption.Create($"information,{_file}"))
        {
            Assert.False(log.IsEnabled(LogEventLevel.Debug));
            log.Information("said");
            log.Debug("unsaid");
        }

        string text = File.ReadAllText(_file);
        Assert.EndsWith("INF said\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("unsaid", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "unknown log level ''")]
    [InlineData("loud", "unknown log level 'loud'; there are verbose, debug, information, warning, error, fatal")]
    [InlineData("3", "unknown log level '3'")]
    [InlineData("-1", "unknown log level '-1'")]
    [InlineData("debug,/nonexistent/log", "cannot write the log '/nonexistent/log'")]
    public void Log_wrong_says_what_in_one_line(string option, string message)
    {
        string said = Assert.Throws<OptionException>(() => LogOption.Create(option)).Message;
        Assert.Contains(message, said, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', said);
    }
}
