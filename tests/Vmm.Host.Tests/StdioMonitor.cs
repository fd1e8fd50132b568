using System.Diagnostics;

namespace Vmm.Host.Tests;

/// <summary>The monitor of a VM that was started with <c>-monitor stdio</c>.</summary>
internal static class StdioMonitor
{
    /// <summary>Gives commands, which are executed one after another, and waits for a line that has a text.</summary>
    /// <returns>The line.</returns>
    public static async Task<string> AskAsync(Process vm, string commands, string answer)
    {
        using var patience = new CancellationTokenSource(Patience.Limit);
        await vm.StandardInput.WriteLineAsync(commands);
        await vm.StandardInput.FlushAsync(patience.Token);
        string line;
        do
        {
            line = await vm.StandardOutput.ReadLineAsync(patience.Token) ?? throw new IOException("the program ended");
        }
        while (!line.Contains(answer, StringComparison.Ordinal));
        return line;
    }

    /// <summary>Waits until the VM runs, and all commands before this one have been executed.</summary>
    public static Task AwaitRunningAsync(Process vm) => AwaitAsync(vm, "info status", "VM status:", "VM status: running");

    /// <summary>Gives a command again and again until its answer is a certain one.</summary>
    /// <param name="answer">What the line of its answer has.</param>
    /// <param name="wanted">What it is to have.</param>
    public static async Task AwaitAsync(Process vm, string command, string answer, string wanted)
    {
        using var patience = new CancellationTokenSource(Patience.Limit);
        while (!(await AskAsync(vm, command, answer)).Contains(wanted, StringComparison.Ordinal))
        {
            await Task.Delay(20, patience.Token);
        }
    }
}
