using Vmm.Emulation.Boards;
using Vmm.Emulation.Tracing;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>The values of <c>--trace</c>, <c>--trace-file</c>, <c>-d</c> and <c>-D</c>, checked.</summary>
/// <param name="File">The file of the trace; null for stderr.</param>
public sealed record TraceOption(TraceCategories Categories, string? File)
{
    public const string DefaultFile = "vmm-trace.log";

    /// <summary>Parses <c>--trace</c> and <c>-d</c> together. The output of <c>-d</c> alone goes to stderr, as in QEMU.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static TraceOption Parse(RunOptions options)
    {
        if (options.LogItems.Count == 0)
        {
            return Parse(options.Trace, options.TraceFile);
        }

        TraceCategories items = options.LogItems.Aggregate(TraceCategories.None, (all, list) => all | LogItems.Parse(list));
        TraceCategories trace = options.Trace == null ? TraceCategories.None : Parse(options.Trace, null).Categories;
        return new TraceOption(items | trace, options.TraceFile ?? (options.Trace == null ? null : DefaultFile));
    }

    /// <param name="categories">Comma-separated categories, or null for no trace.</param>
    /// <param name="file">The file, or null for <see cref="DefaultFile"/>.</param>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static TraceOption Parse(string? categories, string? file)
    {
        if (categories == null && file != null)
        {
            throw new OptionException($"-trace-file or -D without -trace or -d: give categories, of {TraceCategoryNames.All}");
        }

        try
        {
            return new TraceOption(categories == null ? TraceCategories.None : TraceCategoryNames.Parse(categories), file ?? DefaultFile);
        }
        catch (FormatException e)
        {
            throw new OptionException(e.Message);
        }
    }

    /// <exception cref="OptionException">The engine cannot trace a category: one line.</exception>
    public void RequireEngine(Accelerator accelerator)
    {
        const TraceCategories Translated = TraceCategories.InAsm | TraceCategories.Op | TraceCategories.OutAsm;
        if (accelerator == Accelerator.Interpreter && (Categories & Translated) != 0)
        {
            throw new OptionException("nothing is translated, so there is no trace of in_asm, op and out_asm: they take --accel jit");
        }
    }

    /// <summary>Opens the trace; null if no category is traced. An existing file is replaced.</summary>
    /// <exception cref="OptionException">One line that says why the file cannot be opened.</exception>
    public TraceLog? Open()
    {
        if (Categories == TraceCategories.None)
        {
            return null;
        }

        var trace = new TraceLog(OpenStream(), Categories);
        trace.WriteTimeOfDay();
        return trace;
    }

    private Stream OpenStream()
    {
        if (File == null)
        {
            return System.Console.OpenStandardError();
        }

        try
        {
            return new FileStream(File, FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new OptionException($"cannot write the trace '{UserText.Legible(File)}': {SystemError.Describe(e, File)}");
        }
    }
}
