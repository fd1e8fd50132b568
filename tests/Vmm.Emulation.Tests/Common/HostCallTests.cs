using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Vmm.Emulation.Tests.Common;

/// <summary>The numbers of system calls beside those of Linux's own headers.</summary>
public sealed class HostCallTests
{
    [Fact]
    public async Task Numbers_on_arm64_are_those_of_Linux() => await CompareAsync("aarch64-linux-gnu-gcc", call => call.Arm64);

    [Fact]
    public async Task Numbers_on_this_host_are_those_of_Linux()
    {
        bool arm64 = RuntimeInformation.ProcessArchitecture == Architecture.Arm64;
        await CompareAsync("cc", call => arm64 ? call.Arm64 : call.X64);
    }

    private static async Task CompareAsync(string compiler, Func<HostCall, int> numberOf)
    {
        HostCall[] calls = [.. HostCall.All, HostCall.CloneTask, HostCall.Clone3, HostCall.OpenAt];
        using Process process = Process.Start(new ProcessStartInfo(compiler, ["-E", "-P", "-"])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true,
        })!;
        await process.StandardInput.WriteAsync(
            "#include <asm/unistd.h>\n" + string.Concat(calls.Select(c => $"@@ {c.Name}_ __NR_{c.Name}\n")));
        process.StandardInput.Close();
        string[] said = (await process.StandardOutput.ReadToEndAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(
            calls.Select(c => (c.Name, numberOf(c))),
            said.Where(line => line.StartsWith("@@", StringComparison.Ordinal)).Select(line => line.Split(' ')).Select(words =>
                (words[1][..^1], int.TryParse(words[2], CultureInfo.InvariantCulture, out int number) ? number : -1)));
    }
}
