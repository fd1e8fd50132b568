using System.ComponentModel;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Vmm.Host.Guest;

/// <summary>Programs and libraries of this host that a demonstration needs, and what they do.</summary>
internal static class HostTools
{
    /// <summary>Has root's apt install what is missing.</summary>
    /// <param name="tools">What is needed, with the package that has it: a program, or the name of a library.</param>
    /// <exception cref="GuestAssetsException">Something is missing, and the caller is not root, or apt fails. The message has the line that
    /// root would run.</exception>
    public static async Task EnsureAsync(IReadOnlyList<(string Tool, string Package)> tools, CancellationToken cancellation)
    {
        string[] packages = [.. tools.Where(tool => !Has(tool.Tool)).Select(tool => tool.Package).Distinct()];
        if (packages.Length == 0)
        {
            return;
        }

        string line = $"apt-get install -y {string.Join(' ', packages)}";
        if (!Environment.IsPrivilegedProcess)
        {
            throw new GuestAssetsException($"missing on this host; as root: {line}");
        }

        await System.Console.Error.WriteLineAsync($"vmm: {line}").ConfigureAwait(false);
        await RunAsync("apt-get", ["-qq", "update"], cancellation).ConfigureAwait(false);
        (int code, _, string error) =
            await RunAsync("apt-get", ["-qq", "install", "-y", .. packages], cancellation).ConfigureAwait(false);
        if (code != 0)
        {
            throw new GuestAssetsException($"{line}: {error.TrimEnd().Split('\n')[^1]}");
        }
    }

    /// <summary>Runs a program of this host to its end.</summary>
    /// <exception cref="GuestAssetsException">This host does not have it.</exception>
    public static async Task<(int Code, string Output, string Error)> RunAsync(
        string program, string[] arguments, CancellationToken cancellation)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(program, arguments)
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            using CancellationTokenRegistration kill = cancellation.Register(process.Kill);
            process.StandardInput.Close();
            Task<string> error = process.StandardError.ReadToEndAsync(CancellationToken.None);
            string output = await process.StandardOutput.ReadToEndAsync(CancellationToken.None).ConfigureAwait(false);
            await process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
            cancellation.ThrowIfCancellationRequested();
            return (process.ExitCode, output, await error.ConfigureAwait(false));
        }
        catch (Win32Exception)
        {
            throw new GuestAssetsException($"{program} is not on this host");
        }
    }

    /// <summary>So many addresses of the loopback with ports that are free at this moment.</summary>
    public static IPEndPoint[] FreeAddresses(int count) =>
        [.. Enumerable.Range(0, count).Select(_ => new IPEndPoint(IPAddress.Loopback, FreePort()))];

    /// <summary>A port of the loopback that is free at this moment. Another process can take it before it is used.</summary>
    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static bool Has(string tool)
    {
        if (!tool.Contains(".so", StringComparison.Ordinal))
        {
            return (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, tool)));
        }

        bool loads = NativeLibrary.TryLoad(tool, out nint library);
        if (loads)
        {
            NativeLibrary.Free(library);
        }

        return loads;
    }
}
