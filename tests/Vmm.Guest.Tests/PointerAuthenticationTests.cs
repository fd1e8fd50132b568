using System.Globalization;
using System.Text.RegularExpressions;

namespace Vmm.Guest.Tests;

/// <summary>A program signs pointers under Debian's kernel, on CPUs that come and go, and after a move.</summary>
public sealed partial class PointerAuthenticationTests
{
    // The figures of tests/payloads/pauth.c. With addresses of 52 bits a code has three bits, so an eighth of those that should differ are
    // the same by chance.
    private const int All = 200, Accepted = 160, ByChance = 60;

    [GeneratedRegex(@"same (\d+) accepted (\d+) wrong (\d+) old (\d+)")]
    private static partial Regex Figures();

    [Fact]
    public async Task Plugged_cpu_has_the_keys_of_the_process_and_goes_on_after_a_move()
    {
        await using ShellVm vm = await ShellVm.BootAsync("max", 2, 3, moreInitramfs: TestGuest.BuildGuestProgram("pauth"));
        await vm.PlugTwiceAsync(2, async () => AssertRight(await vm.Shell.RunAsync("/pauth 2")));
        Func<ShellVm, Task<string>> goOn = await vm.BeginAsync("/pauth 2", "old");
        await using ShellVm moved = await vm.MoveAsync(vm.Machine.Config);
        string text = await goOn(moved);
        AssertRight(text);
        Assert.Contains($"again {All}", text);
        AssertRight(await moved.Shell.RunAsync("/pauth 2"));
        await moved.PowerOffAsync();
    }

    private static void AssertRight(string text)
    {
        Match figures = Figures().Match(text);
        Assert.True(figures.Success, text);
        int Figure(int i) => int.Parse(figures.Groups[i].Value, CultureInfo.InvariantCulture);
        Assert.Equal((All, Accepted), (Figure(1), Figure(2)));
        Assert.InRange(Figure(3), 0, ByChance);
        Assert.InRange(Figure(4), 0, ByChance);
    }
}
