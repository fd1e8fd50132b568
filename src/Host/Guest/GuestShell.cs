using System.Text;
using System.Text.RegularExpressions;

namespace Vmm.Host.Guest;

/// <summary>The guest did not answer at its serial line. The message has the end of its output.</summary>
public sealed class GuestSilentException(string message) : Exception(message);

/// <summary>
/// Drives the shell of <see cref="Initramfs"/> over the serial line as a person would. It types a command at the prompt, and takes
/// everything before the next prompt as its output. One command at a time.
/// </summary>
/// <param name="send">Sends bytes to the serial line.</param>
public sealed partial class GuestShell(Action<byte[]> send)
{
    /// <summary>
    /// How long a guest may be silent. The limit is there for a guest that hangs; a busy host can make a guest very slow.
    /// </summary>
    public static readonly TimeSpan DefaultPatience = TimeSpan.FromMinutes(10);

    /// <summary>How long this guest may be silent where no other time is given.</summary>
    public TimeSpan Patience { get; init; } = DefaultPatience;

    // The last words of Linux's panic() (kernel/panic.c).
    private const string Panic = "---[ end Kernel panic";

    private readonly Lock _lock = new();
    private readonly StringBuilder _text = new();
    private TaskCompletionSource _more = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // The reason why no more output will come; null while some may. Guarded by _lock.
    private string? _ended;

    // The position in _text up to which output has been returned. Only the caller uses it.
    private int _mark;

    /// <summary>Takes output of the guest, in order. Any thread.</summary>
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
    /// Ends the output, for example because the VM has ended. Waits for text that has not come fail at once. Any thread.
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

    /// <summary>Waits for the next prompt, and returns the output before it, with \n between lines.</summary>
    /// <exception cref="GuestSilentException">No prompt came in time.</exception>
    public Task<string> PromptAsync(TimeSpan? patience = null) => UntilAsync(Initramfs.Prompt, patience);

    /// <summary>Types a command at the prompt, waits for the next prompt, and returns the output of the command.</summary>
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

    /// <summary>Types text without a line end.</summary>
    public void Send(string text) => send(Encoding.ASCII.GetBytes(text));

    /// <summary>Waits for a text, and returns the output before it since the last wait.</summary>
    /// <param name="patience">
    /// How long the guest may be silent; by default <see cref="Patience"/>. Each output of the guest starts the time anew.
    /// </param>
    /// <exception cref="GuestSilentException">The text did not come in time.</exception>
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

    // Called under _lock: returns the source that wakes the present waiters, and makes a new one for later waiters.
    private TaskCompletionSource NextWaiter()
    {
        TaskCompletionSource waiter = _more;
        _more = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return waiter;
    }

    // Control sequences of ECMA-48, such as busybox's question for the position of the cursor, and carriage returns.
    [GeneratedRegex(@"\x1b\[[0-9;?]*[ -/]*[@-~]|\r")]
    private static partial Regex ControlSequence();
}
