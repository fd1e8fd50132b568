using System.Text;

namespace Vmm.Management.Hmp;

/// <summary>
/// Edits a command line as it is typed, like QEMU's readline: arrows, Home, End, Delete, Ctrl-A B D E F H K L N P U W, completion by Tab,
/// and a history. Ctrl-C gives up the line, as in a shell. The editor prints what the person is to see, because the terminal on the other
/// side has no echo.
/// </summary>
/// <param name="prompt">The text before each line.</param>
/// <param name="print">Prints text whose line ends are \n.</param>
/// <param name="complete">Gives the words that can complete the last word of a line.</param>
public sealed class LineEditor(string prompt, Action<string> print, Func<string, Task<IReadOnlyList<string>>> complete)
{
    /// <summary>The largest length of a line in characters. Further characters are ignored.</summary>
    public const int LongestLine = 4095;

    private const int MostHistory = 64;
    private const byte ControlC = 3;

    // The states within an escape sequence: after ESC, and after ESC [ or ESC O.
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

    /// <summary>The lines that were entered, the oldest first.</summary>
    public IReadOnlyList<string> History => _history;

    /// <summary>Prints the prompt and the line so far.</summary>
    public void Show()
    {
        print(prompt + _line + Back(_line.Length - _cursor));
    }

    /// <summary>Prints text that no command has asked for, above the line that is being edited.</summary>
    public void Interrupt(string text)
    {
        print($"\r\e[K{text}\n");
        Show();
    }

    /// <summary>Takes one byte. Returns the line when it is complete, otherwise null.</summary>
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
            // The byte is a parameter of the sequence. No sequence has many of them.
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

    // Appends the beginning that all candidates share. If that adds nothing, the candidates are listed.
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
