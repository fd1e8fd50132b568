using System.Diagnostics;
using System.Globalization;

namespace Vmm.Host.Demo;

/// <summary>Prints what happens, line by line, each with the seconds since the start and who it is about.</summary>
internal sealed class Timeline(Action<string> print)
{
    private readonly Stopwatch _clock = Stopwatch.StartNew();

    public TimeSpan Elapsed => _clock.Elapsed;

    public void Say(string who, string text)
    {
        foreach (string line in text.Split('\n'))
        {
            print(string.Create(CultureInfo.InvariantCulture, $"{_clock.Elapsed.TotalSeconds,8:0.000}  {who,-8} {line}"));
        }
    }
}
