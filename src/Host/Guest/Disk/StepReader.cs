using System.Text;

namespace Vmm.Host.Guest.Disk;

/// <summary>Reads in the output of <c>make-disk.sh</c> how far it is: its lines that begin with "## ".</summary>
internal sealed class StepReader(IProgress<FetchProgress>? progress)
{
    private const string Mark = "## ";
    private const string Failure = "failed ";

    private readonly StringBuilder _line = new();
    private string _last = "has not begun";

    /// <summary>All was done.</summary>
    public bool Done { get; private set; }

    /// <summary>What became of it, after "the guest", if not all was done.</summary>
    public string Problem { get; private set; } = "has ended before it began";

    /// <summary>Takes a piece of the output.</summary>
    public void Take(string text)
    {
        foreach (char c in text)
        {
            if (c == '\n')
            {
                TakeLine(_line.ToString().TrimEnd('\r'));
                _line.Clear();
            }
            else
            {
                _line.Append(c);
            }
        }
    }

    private void TakeLine(string line)
    {
        if (!line.StartsWith(Mark, StringComparison.Ordinal))
        {
            return;
        }

        string step = line[Mark.Length..];
        if (step == "done")
        {
            Done = true;
            progress?.Report(new FetchProgress("the disk is made", DiskRecipe.Steps, DiskRecipe.Steps, InSteps: true));
        }
        else if (step.StartsWith(Failure, StringComparison.Ordinal))
        {
            Problem = $"failed at {step[Failure.Length..]}, while {_last}";
        }
        else if (step.Split(' ', 2) is [var number, var what] && int.TryParse(number, out int n))
        {
            _last = what;
            Problem = $"has ended while {what}";
            progress?.Report(new FetchProgress(what, n - 1, DiskRecipe.Steps, InSteps: true));
        }
    }
}
