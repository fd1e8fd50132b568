using System.Diagnostics;
using System.Text.RegularExpressions;
using Vmm.Host.Options;

namespace Vmm.Host.Tests;

/// <summary>strace(1) shows that each folder that a first save makes has its name on the disk when the save has ended.</summary>
public sealed partial class DurableFolderTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-durable-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [GeneratedRegex("mkdir(at)?\\((AT_FDCWD[^,]*, )?\"(?<folder>[^\"]+)\"")]
    private static partial Regex Made();

    [GeneratedRegex("fsync\\([0-9]+<(?<folder>[^>]+)>")]
    private static partial Regex Flushed();

    [Fact]
    public async Task New_folder_is_followed_by_fsync_of_the_one_that_it_is_in()
    {
        string image = Path.Combine(_folder, "Image");
        string log = Path.Combine(_folder, "log");
        string state = Path.Combine(_folder, "a", "b", "state");
        await File.WriteAllBytesAsync(image, EmptyMachine.Program.ToArray());
        var start = new ProcessStartInfo("strace")
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        string[] arguments =
        [
            "-f", "-y", "--seccomp-bpf", "-e", "trace=?mkdir,mkdirat,fsync", "-o", log, "dotnet", VmmProcess.Program, "-m", "128M",
            "-kernel", image, "-serial", "none", "-monitor", "stdio", "-state", state,
        ];
        Array.ForEach(arguments, start.ArgumentList.Add);
        using (Process vm = Process.Start(start)!)
        {
            // Until it runs it cannot be saved.
            await StdioMonitor.AwaitRunningAsync(vm);
            await StdioMonitor.AskAsync(vm, "savevm one\ninfo snapshots", "List of snapshots present");
            vm.Kill(entireProcessTree: true);
            await vm.WaitForExitAsync().WaitAsync(Patience.Limit);
        }

        string[] lines = await File.ReadAllLinesAsync(log);
        var made = new List<string>();
        for (int i = 0; i < lines.Length; i++)
        {
            if (Made().Match(lines[i]) is { Success: true } match && match.Groups["folder"].Value is var folder
                && folder.StartsWith(_folder, StringComparison.Ordinal) && Directory.Exists(folder))
            {
                made.Add(folder);
                string? parent = Path.GetDirectoryName(folder);
                Assert.True(
                    lines[i..].Any(l => Flushed().Match(l) is { Success: true } f && f.Groups["folder"].Value == parent),
                    $"{folder} may be lost:\n{string.Join("\n", lines)}");
            }
        }

        Assert.Equal(
            [Path.Combine(_folder, "a"), Path.Combine(_folder, "a", "b"), state, Path.Combine(state, "snapshots"),
                Path.Combine(state, "snapshots", "one")],
            made);
    }
}
