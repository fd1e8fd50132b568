using System.Diagnostics;
using Vmm.Host.Guest;

namespace Vmm.Guest.Tests;

/// <summary>A guest in a process of its own, QEMU's or ours, with the shell of <see cref="Initramfs"/> on its standard streams.</summary>
internal sealed class ProcessGuest : IAsyncDisposable
{
    private readonly Process _process;

    private ProcessGuest(Process process)
    {
        _process = process;
        Shell = new GuestShell(bytes =>
        {
            process.StandardInput.BaseStream.Write(bytes);
            process.StandardInput.BaseStream.Flush();
        }) { Patience = Patience.Limit };
    }

    public GuestShell Shell { get; }

    /// <summary>Starts it, waits for the prompt, and keeps the kernel's notes out of what the shell prints.</summary>
    public static async Task<ProcessGuest> StartAsync(string[] command)
    {
        var guest = new ProcessGuest(Process.Start(new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!);
        _ = guest.ReadAsync();
        await guest.Shell.PromptAsync();
        await guest.Shell.RunAsync("dmesg -n 1");
        await guest.Shell.RunAsync("stty cols 250");
        return guest;
    }

    /// <summary>Waits until it has ended by itself.</summary>
    public Task EndAsync() => _process.WaitForExitAsync().WaitAsync(Patience.Limit);

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }

        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    private async Task ReadAsync()
    {
        byte[] buffer = new byte[4096];
        int count;
        while ((count = await _process.StandardOutput.BaseStream.ReadAsync(buffer)) > 0)
        {
            Shell.Receive(buffer.AsMemory(0, count));
        }

        Shell.End("the process has ended");
    }
}
