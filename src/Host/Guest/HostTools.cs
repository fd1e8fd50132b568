using System.Runtime.InteropServices;

namespace Vmm.Host.Guest;

/// <summary>Programs and libraries of this host that a demonstration needs: root's apt installs what is missing.</summary>
internal static class HostTools
{
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
        await SshClient.RunAsync("apt-get", ["-qq", "update"], cancellation).ConfigureAwait(false);
        (int code, _, string error) =
            await SshClient.RunAsync("apt-get", ["-qq", "install", "-y", .. packages], cancellation).ConfigureAwait(false);
        if (code != 0)
        {
            throw new GuestAssetsException($"{line}: {error.TrimEnd().Split('\n')[^1]}");
        }
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
