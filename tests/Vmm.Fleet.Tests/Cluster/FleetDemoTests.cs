using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using Vmm.Host.Demo;

namespace Vmm.Fleet.Tests.Cluster;

/// <summary><c>vmm demo --fleet</c> as a person starts it.</summary>
public sealed class FleetDemoTests
{
    [Theory]
    [InlineData("--fleet goes with no other option", "--fleet", "--rounds", "1")]
    [InlineData("--fleet goes with no other option", "--fleet", "--migrate")]
    [InlineData("--fleet goes with no other option", "--fleet", "--kernel", "Image")]
    [InlineData("--distro goes with no other option", "--fleet", "--distro")]
    public void Options_that_do_not_go_with_it_are_refused(string message, params string[] words) =>
        Assert.Equal([message], DemoCommand.Create().Parse(words).Errors.Select(error => error.Message));

    [LongFact]
    public async Task All_checks_hold_and_nothing_is_left()
    {
        using var temporary = new TemporaryFolder();
        using Process demo = temporary.Start();
        string output = await demo.StandardOutput.ReadToEndAsync().WaitAsync(Patience.Limit);
        await demo.WaitForExitAsync().WaitAsync(Patience.Limit);
        Assert.True(demo.ExitCode == 0, output);
        Assert.EndsWith("checks hold\n", output, StringComparison.Ordinal);
        temporary.AssertNothingIsLeft();
    }

    /// <summary>SIGINT when nodes and VMs run, as a terminal sends it.</summary>
    [LongFact]
    public async Task Interrupt_leaves_nothing()
    {
        using var temporary = new TemporaryFolder();
        using Process demo = temporary.Start();
        string? line;
        do
        {
            line = await demo.StandardOutput.ReadLineAsync().WaitAsync(Patience.Limit);
            Assert.NotNull(line);
        }
        while (!line.Contains("they run, after", StringComparison.Ordinal));

        using Process interrupt = Process.Start("kill", ["-INT", $"{demo.Id}"]);
        await demo.WaitForExitAsync().WaitAsync(Patience.Limit);
        Assert.Equal(130, demo.ExitCode);
        temporary.AssertNothingIsLeft();
    }

    /// <summary>Where the demonstration has its files: what it leaves is seen there.</summary>
    [SuppressMessage("Interoperability", "CA1416", Justification = "Vmm runs on Linux alone.")]
    private sealed class TemporaryFolder : IDisposable
    {
        private readonly string _folder = Directory.CreateTempSubdirectory("vmm-t-").FullName;

        // PostgreSQL is another user.
        public TemporaryFolder() => File.SetUnixFileMode(_folder, (UnixFileMode)0b111_101_101);

        public Process Start()
        {
            var start = new ProcessStartInfo("dotnet", [VmmProcess.Program, "demo", "--fleet"]) { RedirectStandardOutput = true };
            start.Environment["TMPDIR"] = _folder;
            return Process.Start(start)!;
        }

        public void AssertNothingIsLeft()
        {
            Assert.DoesNotContain(
                Directory.EnumerateFileSystemEntries(_folder),
                path => Path.GetFileName(path).StartsWith("vmm-", StringComparison.Ordinal));
            Assert.DoesNotContain(
                Directory.EnumerateDirectories("/proc").Select(CommandOf), line => line.Contains(_folder, StringComparison.Ordinal));
        }

        public void Dispose() => Directory.Delete(_folder, recursive: true);

        private static string CommandOf(string process)
        {
            try
            {
                return File.ReadAllText(Path.Combine(process, "cmdline"));
            }
            catch (IOException)
            {
                return "";
            }
        }
    }
}
