namespace Vmm.Host.Guest;

/// <summary>
/// Shows the progress of a download or of something that is made in steps: a bar in one line on a terminal, otherwise lines of text.
/// </summary>
public sealed class ProgressBar(TextWriter output, bool terminal) : IProgress<FetchProgress>
{
    private const int Width = 30;
    private string? _begun;

    public void Report(FetchProgress value)
    {
        bool done = value.Done >= value.Total;
        string size = value.InSteps ? $"{value.Done} of {value.Total}" : $"{value.Done / 1e6:F1} of {value.Total / 1e6:F1} MB";
        if (terminal)
        {
            int filled = value.Total > 0 ? (int)Math.Min(Width, Width * value.Done / value.Total) : Width;
            output.Write($"\r[{new string('#', filled)}{new string('.', Width - filled)}] {size}  {value.What}\e[K{(done ? "\n" : "")}");
        }
        else if (value.InSteps)
        {
            output.WriteLine($"{size}: {value.What}");
        }
        else if (done)
        {
            output.WriteLine($"fetched {value.What}, {size}");
        }
        else if (_begun != value.What)
        {
            output.WriteLine($"fetching {value.What}, {value.Total / 1e6:F1} MB");
        }

        _begun = value.What;
        output.Flush();
    }
}
