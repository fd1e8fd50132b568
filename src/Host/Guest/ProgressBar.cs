namespace Vmm.Host.Guest;

/// <summary>Shows the progress of a download: a bar in one line on a terminal, otherwise a line at its begin and one at its end.</summary>
public sealed class ProgressBar(TextWriter output, bool terminal) : IProgress<FetchProgress>
{
    private const int Width = 30;
    private string? _begun;

    public void Report(FetchProgress value)
    {
        bool done = value.Bytes >= value.TotalBytes;
        string size = $"{value.Bytes / 1e6:F1} of {value.TotalBytes / 1e6:F1} MB";
        if (terminal)
        {
            int filled = value.TotalBytes > 0 ? (int)Math.Min(Width, Width * value.Bytes / value.TotalBytes) : Width;
            output.Write($"\r[{new string('#', filled)}{new string('.', Width - filled)}] {size}  {value.What}\e[K{(done ? "\n" : "")}");
        }
        else if (done)
        {
            output.WriteLine($"fetched {value.What}, {size}");
        }
        else if (_begun != value.What)
        {
            output.WriteLine($"fetching {value.What}, {value.TotalBytes / 1e6:F1} MB");
        }

        _begun = value.What;
        output.Flush();
    }
}
