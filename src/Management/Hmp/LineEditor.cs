using System.Text;

namespace Vmm.Management.Hmp;

/// <summary>
/// Edits a command line of bytes as they are typed, as QEMU's readline does: arrows, Home, End, Delete, Ctrl-A B D E F H K L N P U W, Tab
/// completes, and a history; Ctrl-C gives up the line, as in a shell. What the person sees is sent as text; the other side is a terminal
/// without echo.
/// </summary>
/// <param name="prompt">Before each line.</param>
/// <param name="print">Sends text; line ends are \n.</param>
/// <param name="complete">What may stand at the end of a line instead of the word that is begun there.</param>
public sealed class LineEditor(string prompt, Action<string> print, Func<string, Task<IReadOnlyList<string>>> complete)
{
    /// <summary>Characters that a line may have; more are not taken.</summary>
    public const int LongestLine = 4095;

    private const int MostHistory = 64;
    private const byte ControlC = 3;

    // After ESC; after ESC [ or ESC O.
    private enum Escape
    {
        None,
        Begun,
        Sequence,
    }

    private readonly StringBuilder _line = new();
    private readonly List<string> _history = [];
    private readonly StringBuilder _sequence = new();
    private int _cursor;
    private int _recalled;
    private string _unfinished = "";
    private Escape _escape;

    /// <summary>Lines that were entered, the oldest first.</summary>
    public IReadOnlyList<string> History => _history;

    /// <summary>Shows the prompt, and what is on the line already.</summary>
    public void Show()
    {
        print(prompt + _line + Back(_line.Length - _cursor));
    }

    /// <summary>Prints something that nobody has asked for, above the line that is being edited.</summary>
    public void Interrupt(string text)
    {
        print($"\r\e[K{text}\n");
        Show();
    }

    /// <summary>Takes one byte. Not null: a line was entered.</summary>
    public async Task<string?> Take(byte key)
    {
        switch (_escape)
        {
            case not Escape.None when key == ControlC:
                _escape = Escape.None;
                break;
            case Escape.Begun:
                _escape = key is (byte)'[' or (byte)'O' ? Escape.Sequence : Escape.None;
                _sequence.Clear();
                return null;
            case Escape.Sequence:
                TakeSequence((char)key);
                return null;
        }

        switch (key)
        {
            case (byte)'\r' or (byte)'\n':
                return Enter();
            case 0x1B:
                _escape = Escape.Begun;
                break;
            case 1:
                MoveTo(0);
                break;
            case 2:
                MoveTo(_cursor - 1);
                break;
            case ControlC:
                Cancel();
                break;
            case 4:
                Delete(_cursor, 1);
                break;
            case 5:
                MoveTo(_line.Length);
                break;
            case 6:
                MoveTo(_cursor + 1);
                break;
            case 8 or 127:
                Delete(_cursor - 1, 1);
                break;
            case 9:
                await Complete().ConfigureAwait(false);
                break;
            case 11:
                Delete(_cursor, _line.Length - _cursor);
                break;
            case 12:
                Redraw();
                break;
            case 14:
                Recall(_recalled + 1);
                break;
            case 16:
                Recall(_recalled - 1);
                break;
            case 21:
                Delete(0, _cursor);
                break;
            case 23:
                int start = StartOfWord();
                Delete(start, _cursor - start);
                break;
            case >= 32 and < 127:
                Insert(((char)key).ToString());
                break;
        }

        return null;
    }

    private void TakeSequence(char key)
    {
        if (key is < '@' or > '~')
        {
            // A parameter; no sequence has many.
            if (_sequence.Length < 8)
            {
                _sequence.Append(key);
            }

            return;
        }

        _escape = Escape.None;
        switch ((key, _sequence.ToString()))
        {
            case ('A', _):
                Recall(_recalled - 1);
                break;
            case ('B', _):
                Recall(_recalled + 1);
                break;
            case ('C', _):
                MoveTo(_cursor + 1);
                break;
            case ('D', _):
                MoveTo(_cursor - 1);
                break;
            case ('H', _) or ('~', "1" or "7"):
                MoveTo(0);
                break;
            case ('F', _) or ('~', "4" or "8"):
                MoveTo(_line.Length);
                break;
            case ('~', "3"):
                Delete(_cursor, 1);
                break;
        }
    }

    private string Enter()
    {
        print("\n");
        string line = _line.ToString();
        _line.Clear();
        _cursor = 0;
        if (line.Trim().Length > 0 && (_history.Count == 0 || _history[^1] != line))
        {
            _history.Add(line);
            if (_history.Count > MostHistory)
            {
                _history.RemoveAt(0);
            }
        }

        _recalled = _history.Count;
        return line;
    }

    private void Cancel()
    {
        _line.Clear();
        _cursor = 0;
        _recalled = _history.Count;
        print("^C\n");
        Show();
    }

    private void Insert(string text)
    {
        if (_line.Length + text.Length > LongestLine)
        {
            return;
        }

        bool atEnd = _cursor == _line.Length;
        _line.Insert(_cursor, text);
        _cursor += text.Length;
        print(atEnd ? text : $"{text}{_line.ToString(_cursor, _line.Length - _cursor)}{Back(_line.Length - _cursor)}");
    }

    private void Delete(int start, int count)
    {
        if (start < 0 || count <= 0 || start + count > _line.Length)
        {
            return;
        }

        int back = _cursor - start;
        bool atEnd = start + count == _line.Length;
        _line.Remove(start, count);
        _cursor = start;
        string rest = _line.ToString(start, _line.Length - start);
        print(atEnd && back == 1 && count == 1 ? "\b \b" : $"{Back(back)}{rest}\e[K{Back(rest.Length)}");
    }

    private void MoveTo(int position)
    {
        position = Math.Clamp(position, 0, _line.Length);
        print(position < _cursor ? Back(_cursor - position) : position > _cursor ? $"\e[{position - _cursor}C" : "");
        _cursor = position;
    }

    private static string Back(int count) => count > 0 ? $"\e[{count}D" : "";

    private void Redraw()
    {
        print("\r\e[K");
        Show();
    }

    private int StartOfWord()
    {
        int start = _cursor;
        while (start > 0 && _line[start - 1] == ' ')
        {
            start--;
        }

        while (start > 0 && _line[start - 1] != ' ')
        {
            start--;
        }

        return start;
    }

    private void Recall(int index)
    {
        if (index < 0 || index > _history.Count || index == _recalled)
        {
            return;
        }

        if (_recalled == _history.Count)
        {
            _unfinished = _line.ToString();
        }

        _recalled = index;
        _line.Clear().Append(index == _history.Count ? _unfinished : _history[index]);
        _cursor = _line.Length;
        Redraw();
    }

    // What all candidates have in common; where that is nothing new, the candidates are shown.
    private async Task Complete()
    {
        string before = _line.ToString(0, _cursor);
        IReadOnlyList<string> candidates = await complete(before).ConfigureAwait(false);
        if (candidates.Count == 0)
        {
            return;
        }

        int begun = before.Length - (before.LastIndexOf(' ') + 1);
        string common = candidates[0];
        foreach (string candidate in candidates)
        {
            int same = 0;
            while (same < common.Length && same < candidate.Length && common[same] == candidate[same])
            {
                same++;
            }

            common = common[..same];
        }

        if (common.Length > begun || candidates.Count == 1)
        {
            Insert(common[begun..] + (candidates.Count == 1 ? " " : ""));
            return;
        }

        print($"\n{string.Join("  ", candidates)}\n");
        Show();
    }
}
