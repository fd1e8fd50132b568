using System.Text;
using System.Text.Json.Nodes;
using Vmm.Emulation.Tests.Jit;
using Vmm.Management.Hmp;

namespace Vmm.Management.Tests.Qmp;

/// <summary>Tests that measure the memory of the process: nothing else runs meanwhile.</summary>
[CollectionDefinition(nameof(MemoryMeasurement), DisableParallelization = true)]
public sealed class MemoryMeasurement;

/// <summary>
/// Random and mutilated input to both monitors. Whatever was sent, the next good request is answered, the session lives, and the process
/// does not grow. A short run of a fixed seed; <c>VMM_FUZZ_SECONDS=600 ./test --filter Fuzz</c> for long ones (<see cref="FuzzRun"/>).
/// </summary>
[Collection(nameof(MemoryMeasurement))]
public sealed class MonitorFuzzTests
{
    // What the monitors know, so that the input is not refused at its first byte. Nothing that writes files.
    private static readonly string[] s_corpus =
    [
        .. File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Qmp", "requests.txt"))
            .Where(l => l.Length > 0 && l[0] != '#' && !l.Contains("memsave", StringComparison.Ordinal)
                && !l.Contains("quit", StringComparison.Ordinal)),
    ];

    private static readonly string[] s_pieces =
    [
        "{", "}", "[", "]", ":", ",", "\"", "'", "\\", "\\u", "\\ud800", "\\udc00", "null", "true", "false", "0", "-", "1e", "1e99999",
        "0.", "99999999999999999999", "\n", "\r", "\t", "\0", "\u00ff", "\u00fe",
        "\u00c3", "\u00f0\u009f", "{\"execute\":", "\"exec-oob\":", "\"arguments\":", "\"id\":", "qmp_capabilities", "[[[[[[[[", "]]]]]]]]",
        "{\"a\":{\"a\":{\"a\":",
    ];

    private static readonly string[] s_words =
    [
        "info", "help", "registers", "-a", "x", "xp", "print", "p", "/", "/4xw", "/99999999999999x", "/65536xb", "0x40000000", "$pc", "$x0",
        "(", ")", "+", "-", "~", "*", "/", "%", "&", "|", "^", "'a'", "'", "\"", "\\",
        "0x", "08", "18446744073709551616", "-1", "cpu", "device_add", "device_del", "cortex-a57-arm-cpu,id=a,core-id=5", ",", "=",
        "qom-list", "qom-get", "/machine", "stop", "s", "cont", "mtree", "-f", "history",
        "hotpluggable-cpus", "cpus-powerstate", "system_reset", "\t", "\u0001", "\e[A", "\e[3~", "\u00ff",
        "((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((",
    ];

    [Fact]
    public async Task Fuzz_QMP()
    {
        var run = new FuzzRun(400);
        await using var vm = new FakeVm();
        QmpTestClient client = await QmpTestClient.NegotiateAsync(vm.Path, outOfBand: true);
        long before = GC.GetTotalMemory(forceFullCollection: true);
        long bytes = 0;
        try
        {
            foreach (int program in run.Programs())
            {
                byte[] sent = Input(new Random(run.SeedOf(program)));
                bytes += sent.Length;
                string sync = $"sync {program}";
                Task sending = Task.Run(() =>
                {
                    client.Send(sent);

                    // An end to whatever was begun: a byte that is no token, and a line end after it.
                    client.Send([0xFF, (byte)'\n']);
                    client.Send($$"""{"execute":"query-name","id":"{{sync}}"}""");
                });
                JsonNode? answer;
                do
                {
                    answer = await client.ReceiveAsync();
                    Assert.True(answer != null, $"{run.Name(program)} ended the session: {Convert.ToBase64String(sent)}");
                    Assert.True(answer["return"] != null || answer["error"] != null || answer["event"] != null, run.Name(program));
                }
                while (answer["id"]?.ToJsonString() != $"\"{sync}\"");
                await sending;
            }
        }
        catch (TimeoutException)
        {
            Assert.Fail($"{run.Name(run.Next - 1)} is not answered: {Convert.ToBase64String(Input(new Random(run.SeedOf(run.Next - 1))))}");
        }

        client.Dispose();
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, 64 << 20);
        System.Console.WriteLine(run.Figure("QMP", $"{bytes >> 10} KiB"));
    }

    [Fact]
    public async Task Fuzz_HMP()
    {
        var run = new FuzzRun(2000);
        await using var vm = new FakeVm();
        long before = GC.GetTotalMemory(forceFullCollection: true);
        long lines = 0;
        foreach (int program in run.Programs())
        {
            var random = new Random(run.SeedOf(program));
            var seen = new StringBuilder();
            var session = new HmpSession(vm.Commands, text => seen.Append(text));
            string words = Words(random);

            // What was begun as a sequence of ESC ends with the first letter.
            foreach (byte key in Encoding.Latin1.GetBytes(words + (words.Contains('\e', StringComparison.Ordinal) ? "x~\r" : "\r")))
            {
                await session.Take(key).WaitAsync(Patience.Limit);
            }

            lines++;
            Assert.True(seen.ToString().EndsWith(HmpSession.Prompt, StringComparison.Ordinal), $"{run.Name(program)}: {seen}");
        }

        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, 64 << 20);
        System.Console.WriteLine(run.Figure("HMP", $"{lines} lines"));
    }

    private static byte[] Input(Random random)
    {
        if (random.Next(4) == 0)
        {
            byte[] noise = new byte[random.Next(1, 200)];
            random.NextBytes(noise);
            return noise;
        }

        var text = new StringBuilder();
        for (int i = random.Next(1, 6); i > 0; i--)
        {
            text.Append(random.Next(3) == 0 ? s_pieces[random.Next(s_pieces.Length)] : s_corpus[random.Next(s_corpus.Length)])
                .Append(random.Next(2) == 0 ? "\n" : "");
        }

        for (int i = random.Next(8); i > 0 && text.Length > 0; i--)
        {
            int at = random.Next(text.Length);
            switch (random.Next(4))
            {
                case 0:
                    text.Remove(at, Math.Min(random.Next(1, 10), text.Length - at));
                    break;
                case 1:
                    text.Insert(at, s_pieces[random.Next(s_pieces.Length)]);
                    break;
                case 2:
                    text[at] = (char)random.Next(256);
                    break;
                default:
                    text.Insert(at, text.ToString(at, Math.Min(random.Next(1, 30), text.Length - at)));
                    break;
            }
        }

        return Encoding.Latin1.GetBytes(text.ToString());
    }

    private static string Words(Random random)
    {
        var text = new StringBuilder();
        for (int i = random.Next(1, 8); i > 0; i--)
        {
            text.Append(s_words[random.Next(s_words.Length)]).Append(random.Next(3) == 0 ? "" : " ");
        }

        for (int i = random.Next(3); i > 0; i--)
        {
            text.Insert(random.Next(text.Length + 1), (char)random.Next(256));
        }

        // Nothing that ends the program or writes files.
        return text.ToString().Replace("quit", "", StringComparison.Ordinal).Replace("memsave", "", StringComparison.Ordinal);
    }
}
