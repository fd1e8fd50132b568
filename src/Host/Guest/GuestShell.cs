using System.Text;
using System.Text.RegularExpressions;

namespace Vmm.Host.Guest;

/// <summary>The guest did not answer at its serial line; the message has the end of what it said.</summary>
public sealed class GuestSilentException(string message) : Exception(message);

/// <summary>
/// The shell of <see cref="Initramfs"/>, driven over the serial line as a person would: a command is typed when the prompt is there,
/// and what comes until the next prompt is its output. One command at a time.
/// </summary>
/// <param name="send">Types bytes at the serial line.</param>
public sealed partial class GuestShell(Action<byte[]> send)
{
    /// <summary>
    /// How long a guest may be silent: no measure of a guest, since a busy host makes one slow, but the end of one that hangs.
    /// </summary>
    public static readonly TimeSpan DefaultPatience = TimeSpan.FromMinutes(10);

    /// <summary>How long this guest may be silent where no other time is given.</summary>
    public TimeSpan Patience { get; init; } = DefaultPatience;

    // The last words of Linux's panic() (kernel/panic.c).
    private const string Panic = "---[ end Kernel panic";

    private readonly Lock _lock = new();
    private readonly StringBuilder _text = new();
    private TaskCompletionSource _more = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Why nothing more will come; null while something may. Guarded by _lock.
    private string? _ended;

    // Position in _text up to which everything has been looked at. The caller's.
    private int _mark;

    /// <summary>All that the guest has sent, without terminal control sequences.</summary>
    public string Text
    {
        get
        {
            lock (_lock)
            {
                return ControlSequence().Replace(_text.ToString(), "");
            }
        }
    }

    /// <summary>Takes what the guest sends. Any thread, in order.</summary>
    public void Receive(ReadOnlyMemory<byte> bytes)
    {
        TaskCompletionSource waiter;
        lock (_lock)
        {
            _text.Append(Encoding.Latin1.GetString(bytes.Span));
            waiter = NextWaiter();
        }

        waiter.SetResult();
    }

    /// <summary>
    /// Says that nothing more will come, such as since the VM has ended: who waits for a text that has not come is told at once. Any
    /// thread.
    /// </summary>
    public void End(string reason)
    {
        TaskCompletionSource waiter;
        lock (_lock)
        {
            _ended = reason;
            waiter = NextWaiter();
        }

        waiter.SetResult();
    }

    /// <summary>Waits for the next prompt; returns what was printed before it, line ends as \n.</summary>
    /// <exception cref="GuestSilentException">No prompt in time.</exception>
    public Task<string> PromptAsync(TimeSpan? patience = null) => UntilAsync(Initramfs.Prompt, patience);

    /// <summary>Types a command at the prompt and waits for the next one; returns what the command printed.</summary>
    /// <exception cref="GuestSilentException">The command did not end in time.</exception>
    public async Task<string> RunAsync(string command, TimeSpan? patience = null)
    {
        Type(command);
        string seen = await PromptAsync(patience).ConfigureAwait(false);

        // The first line is the echo of the command.
        int end = seen.IndexOf('\n', StringComparison.Ordinal);
        return end < 0 ? "" : seen[(end + 1)..].TrimEnd('\n');
    }

    /// <summary>Types a command without waiting for its end.</summary>
    public void Type(string command) => Send(command + "\n");

    /// <summary>Types text as it is.</summary>
    public void Send(string text) => send(Encoding.ASCII.GetBytes(text));

    /// <summary>Waits for a text; returns what came before it since the last wait.</summary>
    /// <param name="patience">
    /// How long the guest may be silent; by default <see cref="Patience"/>. Each thing that it prints gives it as long again.
    /// </param>
    /// <exception cref="GuestSilentException">It did not come in time.</exception>
    public async Task<string> UntilAsync(string text, TimeSpan? patience = null)
    {
        TimeSpan limit = patience ?? Patience;
        while (true)
        {
            Task more;
            string unseen;
            string? ended;
            lock (_lock)
            {
                more = _more.Task;
                ended = _ended;
                unseen = _text.ToString(_mark, _text.Length - _mark);
            }

            int at = unseen.IndexOf(text, StringComparison.Ordinal);
            if (at >= 0)
            {
                _mark += at + text.Length;
                return ControlSequence().Replace(unseen[..at], "");
            }

            if (unseen.Contains(Panic, StringComparison.Ordinal))
            {
                ended = "its kernel panicked";
            }

            if (ended != null || await Task.WhenAny(more, Task.Delay(limit)).ConfigureAwait(false) != more)
            {
                string end = ControlSequence().Replace(unseen, "");
                throw new GuestSilentException(
                    $"the guest did not print '{text}' {(ended == null ? $"in {limit.TotalSeconds:0} s" : $"and will not: {ended}")}; "
                    + $"the end of what it printed:\n{end[Math.Max(0, end.Length - 2000)..]}");
            }
        }
    }

    // Under _lock: whoever waits is to look again, and the next ones wait for what comes after.
    private TaskCompletionSource NextWaiter()
    {
        TaskCompletionSource waiter = _more;
        _more = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return waiter;
    }

    // ECMA-48 control sequences, such as busybox's question for the cursor's place, and carriage returns.
    [GeneratedRegex(@"\x1b\[[0-9;?]*[ -/]*[@-~]|\r")]
    private static partial Regex ControlSequence();
}
