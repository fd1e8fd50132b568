using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using Vmm.Management.Commands;

namespace Vmm.Management.Tests.Qmp;

/// <summary>
/// What is asked in <c>requests.txt</c> is answered as QEMU 10.0.2 did when <c>record</c> wrote <c>transcript.txt</c>: the same number of
/// messages in the same order, the same members and types, and errors and texts for people word by word.
/// </summary>
public sealed class QmpTranscriptTests
{
    // What differs, and why. The answer is still to be one, of the same kind.
    private static readonly Dictionary<string, string> s_different = new()
    {
        ["""{"execute":"query-hotpluggable-cpus"}"""] = "CPUs can be plugged here",
        ["""{"execute":"query-acpi-ospm-status"}"""] = "CPUs can be plugged here",
        ["""{"execute":"query-cpu-model-expansion","arguments":{"type":"full","model":{"name":"cortex-a57"}}}"""] = "compared apart",
        ["""{"execute":"query-cpu-model-expansion","arguments":"""
            + """{"type":"full","model":{"name":"max","props":{"sve512":true,"sve256":false}}}}"""]
            = "QEMU's hint is a part of the message",
        ["""{"execute":"query-cpu-model-expansion","arguments":"""
            + """{"type":"full","model":{"name":"max","props":{"sve":false,"sve256":true}}}}"""]
            = "QEMU's hint is a part of the message",
        ["""{"execute":"query-migrate-parameters"}"""] = "those of what is not supported are missing",
        ["""{"execute":"human-monitor-command","arguments":{"command-line":"info version"}}"""] = "the package is another",
        ["""{"execute":"human-monitor-command","arguments":{"command-line":"help stop"}}"""] = "",
    };

    private static readonly string s_folder = Path.Combine(AppContext.BaseDirectory, "Qmp");

    [Fact]
    public async Task Requests_are_answered_as_QEMU_answers_them()
    {
        await using var vm = new FakeVm();
        using QmpTestClient client = await QmpTestClient.ConnectAsync(vm.Path);
        var differences = new List<string>();
        int compared = 0;
        foreach ((string request, JsonNode[] expected) in Transcript())
        {
            List<JsonNode> answers = request.Length == 0 ? [(await client.ReceiveAsync())!] : await client.AskAsync(request);
            compared++;
            if (answers.Count != expected.Length)
            {
                differences.Add($"{request}\n  QEMU: {string.Join<JsonNode>("\n        ", expected)}\n  Vmm:  "
                    + $"{string.Join("\n        ", answers.Select(a => a.ToJsonString()))}");
                continue;
            }

            foreach ((JsonNode theirs, JsonNode ours) in expected.Zip(answers))
            {
                if (!s_different.ContainsKey(request) && Difference(theirs, ours, "") is { } difference)
                {
                    differences.Add($"{request}\n  {difference}\n  QEMU: {Short(theirs)}\n  Vmm:  {Short(ours)}");
                }
            }
        }

        Assert.True(compared > 130, $"{compared} requests");
        Assert.True(differences.Count == 0, string.Join("\n", differences));
    }

    /// <summary>The recording is what QEMU says today.</summary>
    [LongFact]
    public void Recording_is_repeatable()
    {
        string source = SourceFolder();
        string target = Directory.CreateTempSubdirectory("vmm-qmp-").FullName;
        try
        {
            using Process record = Process.Start(Path.Combine(source, "record"), target);
            Assert.True(record.WaitForExit(Patience.Limit));
            Assert.Equal(0, record.ExitCode);
            Assert.Equal(Stable(Path.Combine(source, "transcript.txt")), Stable(Path.Combine(target, "transcript.txt")));
            Assert.Equal(File.ReadAllText(Path.Combine(source, "schema.json")), File.ReadAllText(Path.Combine(target, "schema.json")));
        }
        finally
        {
            Directory.Delete(target, recursive: true);
        }
    }

    // Without the name of the socket.
    private static string[] Stable(string path) => [.. File.ReadAllLines(path)
        .Where(l => !l.Contains("compat_monitor0", StringComparison.Ordinal) || l.Contains("yank", StringComparison.Ordinal))];

    internal static string SourceFolder()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder != null && !File.Exists(Path.Combine(folder, "Vmm.sln")))
        {
            folder = Path.GetDirectoryName(folder);
        }

        return Path.Combine(folder!, "tests", "Vmm.Management.Tests", "Qmp");
    }

    private static string Short(JsonNode value)
    {
        string text = value.ToJsonString();
        return text[..Math.Min(text.Length, 500)];
    }

    // Requests, the first of them empty for the greeting, with their answers.
    private static IEnumerable<(string Request, JsonNode[] Answers)> Transcript()
    {
        string request = "";
        var answers = new List<JsonNode>();
        foreach (string line in File.ReadLines(Path.Combine(s_folder, "transcript.txt")))
        {
            if (line.StartsWith("-> ", StringComparison.Ordinal))
            {
                yield return (request, [.. answers]);
                request = line[3..];
                answers.Clear();
            }
            else if (line.StartsWith("<- ", StringComparison.Ordinal))
            {
                answers.Add(JsonNode.Parse(line[3..])!);
            }
        }

        yield return (request, [.. answers]);
    }

    // Null: none. Texts of errors and of people's commands are compared, other texts and numbers are not.
    private static string? Difference(JsonNode? theirs, JsonNode? ours, string path)
    {
        JsonValueKind kind = theirs?.GetValueKind() ?? JsonValueKind.Null;
        JsonValueKind ourKind = ours?.GetValueKind() ?? JsonValueKind.Null;
        bool bothTruths = kind is JsonValueKind.True or JsonValueKind.False && ourKind is JsonValueKind.True or JsonValueKind.False;
        if (kind != ourKind && !bothTruths)
        {
            return $"{path}: {kind} in QEMU, {ourKind} here";
        }

        switch (theirs)
        {
            case JsonObject members:
                foreach (string name in members.Select(m => m.Key).Union(ours!.AsObject().Select(m => m.Key)))
                {
                    if (!members.ContainsKey(name) || !ours.AsObject().ContainsKey(name))
                    {
                        return $"{path}.{name}: only {(members.ContainsKey(name) ? "in QEMU" : "here")}";
                    }

                    if (Difference(members[name], ours[name], $"{path}.{name}") is { } inner)
                    {
                        return inner;
                    }
                }

                return null;
            case JsonArray { Count: > 0 } elements when ours!.AsArray().Count > 0:
                // Lists of other things of the same kind: one of theirs is like ours.
                return ours.AsArray().Select(o => elements.Select(e => Difference(e, o, $"{path}[]"))
                    .FirstOrDefault(d => d == null, "no element in QEMU's is like ours")).FirstOrDefault(d => d != null) is { } different
                    ? $"{path}: {different}"
                    : null;
            case JsonArray elements:
                return elements.Count == ours!.AsArray().Count || path != ".return" ? null
                    : $"{path}: {elements.Count} elements in QEMU, {ours.AsArray().Count} here";
            case JsonValue value when kind == JsonValueKind.String && path is ".error.class" or ".error.desc" or ".event" or ".data.reason"
                or ".return" or ".return.status":
                return value.ToString() == ours!.ToString() || (path == ".return"
                    && value.ToString().StartsWith("virt-", StringComparison.Ordinal)) || (path == ".return" && value.ToString() == "auto")
                    ? null
                    : $"{path}: '{value}' in QEMU, '{ours}' here";
            default:
                return path.StartsWith(".id", StringComparison.Ordinal) && theirs?.ToJsonString() != ours?.ToJsonString()
                    ? $"{path}: another id" : null;
        }
    }
}
