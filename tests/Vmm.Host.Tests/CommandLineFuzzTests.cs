using System.Diagnostics;
using System.Globalization;
using Vmm.Emulation.Cpu;
using Vmm.Host.Options;
using Vmm.Management.Text;
using Xunit.Abstractions;

namespace Vmm.Host.Tests;

/// <summary>
/// Random command lines: each is understood or refused in one line, and nothing else happens. A short run of a fixed seed; with
/// <c>VMM_FUZZ_SECONDS=600</c> as many seconds, from a random seed or from <c>VMM_FUZZ_SEED</c>, and some of the lines to the program
/// itself.
/// </summary>
public sealed class CommandLineFuzzTests(ITestOutputHelper output)
{
    private const int DefaultSeed = 20261126;
    private const int ShortRun = 20_000;

    // Of these the program itself is given one in so many.
    private const int ProcessEvery = 5_000;

    private static readonly string[] s_names = [.. OptionTable.Supported.Concat(OptionTable.Refused).SelectMany(r => r.Names)];

    private static readonly string[] s_words =
    [
        .. OptionTable.Supported.SelectMany(r => r.Choices),
        "", "on", "off", "help", "?", "0", "1", "-1", "2", "4", "512", "513", "65536", "2147483647", "2147483648", "99999999999999999999",
        "1.5", "0x10", "K", "300M", "16M", "1G", "4096T",
        "=", ",", ",,", ":", "=,", "a=b", "id=core4", "core-id=4", "socket-id=0", "file=/dev/null", "if=pflash", "unit=0", "unit=1",
        "readonly=on", "format=raw", "server", "wait=off", "server=on",
        "unix:", "unix:sock", "tcp:", "tcp:127.0.0.1:", "tcp:127.0.0.1:99999", "stdio", "mon:stdio", "null", "none", "file:", "chardev:",
        "chardev:a", "socket", "mode=control", "pretty=on",
        "/dev/null", "/nonexistent", "/", "\0", "\n", "\r\n", "\u001b[2J", "\u2028", "\ud800", "é", "日本", new string('x', 10_000),
        new string(',', 1_000), new string('=', 100),
        "cpus=4", "maxcpus=6", "disabledcpus=2", "sockets=2", "clusters=65536", "threads=2147483647", "dies=2", "size=1G", "slots=2",
        "base=2006-06-17", "base=", "clock=vm", "virt", "type=virt", "its=on",
        "max-arm-cpu", "host-arm-cpu", "cortex-a57-arm-cpu.pmu=off", "driver=a,property=b,value=c", "12345678-9abc-def0-1234-56789abcdef0",
        "127.0.0.1:5555", "99999", "in_asm", "exec,int",
    ];

    [Fact]
    public async Task Random_lines_are_understood_or_refused_in_one_line()
    {
        double? seconds = Number("VMM_FUZZ_SECONDS");
        int seed = (int)(Number("VMM_FUZZ_SEED") ?? (seconds == null ? DefaultSeed : Random.Shared.Next(100_000_000)));
        long start = Stopwatch.GetTimestamp();
        int lines = 0, understood = 0, processes = 0;
        string folder = Directory.CreateTempSubdirectory("vmm-fuzz").FullName;
        for (; seconds == null ? lines < ShortRun : Stopwatch.GetElapsedTime(start).TotalSeconds < seconds; lines++)
        {
            string[] line = Generate(new Random(unchecked((seed * 1_000_003) + lines)));
            string name = $"seed {seed}, line {lines}: {string.Join(' ', line.Select(a => $"'{UserText.Legible(a)}'"))}";
            bool machine = false;
            understood += Check(line, name, ref machine) ? 1 : 0;
            if (lines % ProcessEvery == ProcessEvery - 1 && !machine
                && Array.TrueForAll(line, a => !a.Contains('\0', StringComparison.Ordinal) && a.Length < 5_000))
            {
                await CheckProcess(line, folder, name);
                processes++;
            }
        }

        Directory.Delete(folder, recursive: true);
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"[figure] fuzz command line: seed {seed}, {lines} lines, {understood} understood, {processes} by the program itself, "
                + $"{Stopwatch.GetElapsedTime(start).TotalSeconds:F1} s"));
        Assert.InRange(understood, lines / 1000, lines - 1);
    }

    // What the program does before there is a VM. True: the line is right, but for the kernel, which there never is; `-machine none` needs
    // none.
    private static bool Check(string[] line, string name, ref bool machine)
    {
        RunOptions options;
        try
        {
            options = CommandLine.Parse(line);
        }
        catch (OptionException e)
        {
            AssertOneLine(e.Message, name);
            return false;
        }
        catch (Exception e)
        {
            throw new InvalidOperationException(name, e);
        }

        try
        {
            if (options.Answer == null)
            {
                TraceOption.Parse(options);
                options.Machine.ToConfig();
                machine = true;
                Assert.True(options.Machine.Machine.IsEmpty, $"there is a machine: {name}");
            }
        }
        catch (OptionException e)
        {
            AssertOneLine(e.Message, name);
        }
        catch (Exception e) when (e is not Xunit.Sdk.XunitException)
        {
            throw new InvalidOperationException(name, e);
        }

        return true;
    }

    // As it is printed: an answer of a file system may quote what was typed.
    private static void AssertOneLine(string message, string name)
    {
        string said = Commands.Complaint.Line(message);
        Assert.True(said.Length is > 5 and < 2_000 && !said.Any(char.IsControl), $"'{said}': {name}");
    }

    private static async Task CheckProcess(string[] line, string folder, string name)
    {
        (int code, string answer, string errors) = await VmmProcess.RunAsync(["run", .. line], folder);
        Assert.True(code is 0 or 1, $"exit code {code}, {errors}: {name}");
        Assert.True(code == 0 ? answer.Length > 0 && errors.Length == 0 : answer.Length == 0
            && errors.TrimEnd('\n').Split('\n').Length == 1, $"'{answer}', '{errors}': {name}");
    }

    private static string[] Generate(Random random)
    {
        var line = new List<string>();
        for (int count = random.Next(1, 8); count > 0; count--)
        {
            string name = s_names[random.Next(s_names.Length)];
            string option = random.Next(20) switch
            {
                0 => Value(random),
                1 => new string('-', random.Next(4)) + name,
                2 => $"--{name}={Value(random)}",
                3 => "-" + Mutate(name, random),
                < 10 => "--" + name,
                _ => "-" + name,
            };
            line.Add(option);

            // Never a kernel or firmware that is one: nothing is to run.
            if (OptionTable.Find(name) is not { } row || row.TakesValue ? random.Next(10) > 0 : random.Next(10) == 0)
            {
                line.Add(Value(random));
            }
        }

        return [.. line];
    }

    private static string Value(Random random)
    {
        string value = s_words[random.Next(s_words.Length)];
        for (int more = random.Next(4); more > 0; more--)
        {
            value = $"{value}{(random.Next(3) == 0 ? "=" : ",")}{s_words[random.Next(s_words.Length)]}";
        }

        return random.Next(4) == 0 ? Mutate(value, random) : value;
    }

    private static string Mutate(string text, Random random)
    {
        int at = random.Next(text.Length + 1);
        return random.Next(3) switch
        {
            0 => text.Insert(at, ((char)random.Next(1, 0x250)).ToString()),
            1 when at < text.Length => text.Remove(at, 1),
            2 when text.Length < 1000 => text + text,
            _ => text,
        };
    }

    private static double? Number(string variable) =>
        double.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.Float, CultureInfo.InvariantCulture, out double value)
            ? value : null;
}
