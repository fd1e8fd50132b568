using System.Diagnostics;
using Vmm.Emulation.Boards;
using Vmm.Host.Guest;

namespace Vmm.Guest.Tests;

/// <summary>
/// The program on hosts that refuse executable memory; <c>tests/payloads/refuse-executable.c</c> makes this one such a host.
/// </summary>
public sealed class RefusedMemoryTests : IDisposable
{
    private readonly string _wrapper = TestGuest.BuildHostProgram("refuse-executable");

    public void Dispose() => File.Delete(_wrapper);

    [Fact]
    public async Task Memory_that_may_be_written_and_executed_is_mapped_twice_where_it_is_refused()
    {
        if (Accelerators.CanTranslate)
        {
            (int exit, string output, string errors) = await RunAsync("both", "--accel jit,stats=on", "poweroff -f\n");
            Assert.Contains("Power down", output, StringComparison.Ordinal);
            Assert.Contains("; mapped twice", errors, StringComparison.Ordinal);
            Assert.Equal(0, exit);
        }
    }

    [Fact]
    public async Task Code_is_interpreted_where_both_ways_are_refused_and_nothing_else_was_asked_for()
    {
        (int exit, string output, string errors) = await RunAsync("all", "", "");
        Assert.Contains("This host cannot run translated code: instructions are interpreted", errors, StringComparison.Ordinal);
        Assert.Equal(0, exit);
        Assert.Equal("", output);
    }

    [Theory]
    [InlineData("all", "vmm: this host cannot run translated code (it takes x86-64 with BMI2, LZCNT, AVX2 and FMA3, and memory that may "
        + "be written and executed): use --accel interp")]
    [InlineData("large", "vmm: the host refuses 256 MiB for translated code: use less tb-size, or --accel interp")]
    public async Task Translation_that_is_asked_for_and_cannot_be_is_one_line(string refused, string line)
    {
        if (Accelerators.CanTranslate)
        {
            Assert.Equal((1, "", $"{line}\n"), await RunAsync(refused, "--accel jit", ""));
        }
    }

    // Without input the monitor's quit ends the guest before it has printed anything.
    private async Task<(int Exit, string Output, string Errors)> RunAsync(string refused, string options, string input)
    {
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        string program = Path.Combine(AppContext.BaseDirectory, "vmm");
        string[] quit = input.Length == 0 ? ["--append", "console=none"] : ["--append", "console=ttyAMA0 quiet"];
        var start = new ProcessStartInfo(_wrapper, [refused, program, "run", .. options.Split(' ', StringSplitOptions.RemoveEmptyEntries),
            "--kernel", files.Kernel, "--initrd", files.Initramfs, .. quit])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        using var limit = new CancellationTokenSource(Patience.Limit);
        Task<string> output = process.StandardOutput.ReadToEndAsync(limit.Token);
        Task<string> errors = process.StandardError.ReadToEndAsync(limit.Token);
        await process.StandardInput.WriteAsync(input.Length == 0 ? "\u0001x" : input);
        process.StandardInput.Close();
        await process.WaitForExitAsync(limit.Token);
        return (process.ExitCode, await output, await errors);
    }
}
