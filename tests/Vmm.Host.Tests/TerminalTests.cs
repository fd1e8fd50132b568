namespace Vmm.Host.Tests;

/// <summary>A VM at a terminal: modes, keys, and what a shell does with jobs.</summary>
public sealed class TerminalTests
{
    private const string ControlA = "\u0001";
    private const string ControlC = "\u0003";

    [Fact]
    public void Terminal_is_raw_again_after_every_stop_and_as_it_was_at_the_end()
    {
        using var terminal = new Pty("-machine", "none");
        terminal.WaitFor(t => t.IsRaw, "raw");
        EnterMonitor(terminal, ControlA);

        // `kill -STOP`: the program cannot know. The shell takes the terminal, and `fg` sends SIGCONT.
        terminal.Send("STOP");
        terminal.WaitFor(t => t.State == 'T', "stopped");
        terminal.Cook();
        terminal.Send("CONT");
        terminal.WaitFor(t => t.IsRaw, "raw after STOP and CONT");

        // `kill -TSTP`: the program gives the terminal back itself.
        terminal.Send("TSTP");
        terminal.WaitFor(t => t.State == 'T' && t.IsCooked, "stopped and cooked");
        terminal.Send("CONT");
        terminal.WaitFor(t => t.IsRaw, "raw after TSTP and CONT");

        terminal.Type("info status\r");
        terminal.WaitFor(t => t.Seen.Contains("VM status: running", StringComparison.Ordinal), "the monitor answers");
        terminal.Type($"{ControlA}x");
        terminal.WaitFor(t => t.HasExited, "the end");
        Assert.True(terminal.IsCooked);
        Assert.Equal(0, terminal.ExitCode);
    }

    [Fact]
    public void Control_C_gives_up_a_line_of_the_monitor()
    {
        using var terminal = new Pty("-machine", "none");
        terminal.WaitFor(t => t.IsRaw, "raw");
        EnterMonitor(terminal, ControlA);
        terminal.Type($"system_powerdo{ControlC}info name\r");
        terminal.WaitFor(t => t.Seen.Contains("^C\r\n(vmm) info name", StringComparison.Ordinal), "a new line");
        Assert.DoesNotContain("unknown command", terminal.Seen, StringComparison.Ordinal);
        terminal.Send("TERM");
        terminal.WaitFor(t => t.HasExited && t.IsCooked, "the end");
    }

    [Fact]
    public void Escape_key_is_that_of_echr()
    {
        using var terminal = new Pty("-machine", "none", "-echr", "0x14");
        terminal.WaitFor(t => t.IsRaw, "raw");
        const string ControlT = "\u0014";
        terminal.Type($"{ControlT}h");
        terminal.WaitFor(t => t.Seen.Contains("Ctrl-T x       end the program", StringComparison.Ordinal), "the help");
        EnterMonitor(terminal, ControlT);
        terminal.Type($"{ControlT}x");
        terminal.WaitFor(t => t.HasExited, "the end");
    }

    // Keys that come before the console is served are for the guest: they are typed again.
    private static void EnterMonitor(Pty terminal, string escape)
    {
        terminal.Type($"{escape}h");
        terminal.WaitFor(t => t.Seen.Contains("switch between the guest and the monitor", StringComparison.Ordinal), "the console");
        terminal.Type($"{escape}c");
        terminal.WaitFor(t => t.Seen.Contains("(vmm)", StringComparison.Ordinal), "the monitor");
    }
}
