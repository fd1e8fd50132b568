using System.Diagnostics;
using System.Text.Json.Nodes;

namespace Vmm.Benchmarks.Hotplug;

/// <summary>
/// The plugs and unplugs of a soak, how they ended, and which CPUs are present by that. Not safe by itself: the owner's lock guards it.
/// </summary>
internal sealed class SoakRequests(Stopwatch clock)
{
    private const string CpuModel = "max";
    private const string Peripheral = "/machine/peripheral/";

    private readonly List<SoakRequest> _all = [];
    private readonly Dictionary<int, string> _present = [];
    private int _names;

    /// <summary>What was accepted and has not ended.</summary>
    public SoakRequest[] Open => [.. _all.Where(r => r.Accepted && r.End == null)];

    /// <summary>The identifiers of the CPUs that are present by the requests' ends.</summary>
    public SortedDictionary<int, string> Present => new(_present);

    /// <summary>What to ask for next: a plug of a CPU that is absent, an unplug of one that is present, whatever is under way.</summary>
    public SoakRequest Toggle(int cpu)
    {
        bool plug = !_present.TryGetValue(cpu, out string? id);
        id ??= $"c{cpu}n{++_names}";
        if (plug)
        {
            // Its outcome may come before its answer is read.
            _present[cpu] = id;
        }
        else
        {
            foreach (SoakRequest pending in _all.Where(r => r.Cpu == cpu && r.Plug && r.End == null))
            {
                pending.Superseded = true;
            }
        }

        var request = new SoakRequest(id, cpu, plug, clock.Elapsed);
        _all.Add(request);
        return request;
    }

    /// <summary>The command's arguments.</summary>
    public static JsonObject ArgumentsOf(SoakRequest request) => request.Plug
        ? new JsonObject { ["driver"] = $"{CpuModel}-arm-cpu", ["id"] = request.Id, ["core-id"] = request.Cpu }
        : new JsonObject { ["id"] = request.Id };

    /// <summary>Takes the command's answer.</summary>
    /// <returns>
    /// Whether it may be so. A plug of an absent CPU may never be refused, and an unplug only while another is under way.
    /// </returns>
    public bool Answer(SoakRequest request, string? error)
    {
        request.Accepted = error == null;
        request.Error = error;
        if (error == null)
        {
            return true;
        }

        if (request.Plug)
        {
            _present.Remove(request.Cpu);
            return false;
        }

        // The CPU is leaving already, or has left meanwhile.
        return _all.Any(other => other != request && other.Id == request.Id && !other.Plug && other.Error == null
            && !(other.EndedAt < request.SentAt));
    }

    /// <summary>Takes an outcome (QMP's <c>__org.vmm_HOTPLUG_OUTCOME</c>).</summary>
    /// <returns>Whether somebody has asked for it.</returns>
    public bool Hear(JsonNode data)
    {
        string id = data["device"]!.ToString();
        string result = data["result"]!.ToString();
        bool plug = data["operation"]!.ToString() == "plug";

        // The oldest that is open, since requests for one CPU end in order. What was asked for again after a time-out ends with it.
        List<SoakRequest> open = _all.FindAll(r => r.Id == id && r.Plug == plug && r.End == null && r.Error == null);
        SoakRequest? last = _all.FindLast(r => r.Id == id && r.Plug == plug);
        if (last == null)
        {
            return false;
        }

        int ends = result == "timed-out" ? 1 : 1 + open.TakeWhile(r => r.Outcomes.Contains("timed-out")).Count();
        foreach (SoakRequest request in open.Count == 0 ? [last] : open.Take(ends))
        {
            request.Hear(result, clock.Elapsed);
        }

        if (!plug && result == "done")
        {
            _present.Remove(last.Cpu);
        }

        return true;
    }

    /// <summary>Judges how the requests ended, and forgets them.</summary>
    /// <param name="ended">How many ended once.</param>
    /// <returns>What is wrong, a line each.</returns>
    public List<string> Close(out int ended)
    {
        List<string> faults = [];
        foreach (SoakRequest request in _all)
        {
            if (request.Ends > 1 || (request.Error != null && request.Outcomes.Count != 0))
            {
                faults.Add($"it ended more than once: {request}");
            }

            // The guest may refuse to give a CPU back; a plug has no reason to fail, unless the CPU is to leave again.
            if (request.Plug && (request.End == "refused" || (request.End == "cancelled" && !request.Superseded)))
            {
                faults.Add($"a plug failed: {request}");
            }
        }

        ended = _all.Count(r => r.Ends == 1);
        _all.Clear();
        return faults;
    }

    /// <summary>What the monitor and the guest say otherwise than the requests' ends, a line each.</summary>
    /// <param name="expected"><see cref="Present"/>.</param>
    /// <param name="slots">The answer to <c>query-hotpluggable-cpus</c>.</param>
    /// <param name="enabled">The guest's list of enabled CPUs, as in its sysfs.</param>
    /// <param name="bootCpus">How many CPUs are there from the start.</param>
    public static IEnumerable<string> Differences(SortedDictionary<int, string> expected, JsonNode slots, CpuList enabled, int bootCpus)
    {
        var plugged = new SortedDictionary<int, string>();
        foreach (JsonNode? slot in slots.AsArray())
        {
            if (slot!["qom-path"]?.ToString() is { } path && path.StartsWith(Peripheral, StringComparison.Ordinal))
            {
                plugged[slot["props"]!["core-id"]!.GetValue<int>()] = path[Peripheral.Length..];
            }
        }

        if (!plugged.SequenceEqual(expected))
        {
            yield return
                $"query-hotpluggable-cpus has [{string.Join(' ', plugged)}], the requests' ends say [{string.Join(' ', expected)}]";
        }

        if (!enabled.Cpus.SetEquals(Enumerable.Range(0, bootCpus).Concat(expected.Keys)))
        {
            yield return $"the guest has enabled {enabled.Text}, "
                + $"the requests' ends say 0-{bootCpus - 1} and [{string.Join(' ', expected)}]";
        }
    }
}
