using System.Threading.Channels;

namespace Vmm.Fleet.Nodes;

/// <summary>
/// Who may start the process of a VM: as many at a time as the host has cores, in the order in which they ask. More would only take turns
/// on the cores, and the first of them would be there as late as the last.
/// </summary>
/// <param name="most">How many at a time.</param>
internal sealed class StartTurns(int most)
{
    // A start that takes longer waits for something else than a core.
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(5);

    // Has one for each turn; who finds it full waits in the order of coming.
    private readonly Channel<bool> _turns = Channel.CreateBounded<bool>(most);

    /// <summary>Waits for a turn, and starts. The turn ends with the start, or after five seconds.</summary>
    /// <exception cref="OperationCanceledException">It was stopped before its turn.</exception>
    public async Task<T> TakeAsync<T>(Func<Task<T>> start, CancellationToken stop)
    {
        await _turns.Writer.WriteAsync(true, stop).ConfigureAwait(false);
        Task<T> started = Task.Run(start, CancellationToken.None);
        _ = EndTurnAsync(started);
        return await started.ConfigureAwait(false);
    }

    private async Task EndTurnAsync(Task started)
    {
        await Task.WhenAny(started, Task.Delay(s_longest)).ConfigureAwait(false);
        _turns.Reader.TryRead(out _);
    }
}
