using System.Diagnostics;

namespace Vmm.Tests;

/// <summary>The program itself, as a person starts it: its arguments, what it prints, how it ends.</summary>
internal static class VmmProcess
{
    /// <summary>For dotnet.</summary>
    public static readonly string Program = Path.Combine(AppContext.BaseDirectory, "vmm.dll");

    /// <summary>Starts it with all streams redirected.</summary>
    public static Process Start(IEnumerable<string> arguments, string? folder = null)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder ?? "",
        };
        start.ArgumentList.Add(Program);
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        return Process.Start(start)!;
    }

    /// <summary>Runs it to its end, without input.</summary>
    /// <exception cref="OperationCanceledException">It did not end.</exception>
    public static async Task<(int ExitCode, string Output, string Errors)> RunAsync(IEnumerable<string> arguments, string? folder = null)
    {
        using Process process = Start(arguments, folder);
        process.StandardInput.Close();
        using var patience = new CancellationTokenSource(Patience.Limit);
        try
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync(patience.Token);
            string errors = await process.StandardError.ReadToEndAsync(patience.Token);
            await process.WaitForExitAsync(patience.Token);
            return (process.ExitCode, await output, errors);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill();
            }
        }
    }
}
