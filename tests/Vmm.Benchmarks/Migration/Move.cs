using System.Diagnostics;
using System.Text.Json.Nodes;

namespace Vmm.Benchmarks.Migration;

/// <summary>One migration, as the monitors and somebody who listens to both tell it. Times are of milliseconds.</summary>
/// <param name="Total">What the sender says, from <c>migrate</c> to the end.</param>
/// <param name="Downtime">What the sender says.</param>
/// <param name="Outside">From the sender's STOP to the receiver's RESUME, as a client of both heard them.</param>
/// <param name="Passes">Passes over the RAM.</param>
/// <param name="Bytes">What was sent.</param>
internal sealed record Move(double Total, double Downtime, double Outside, long Passes, long Bytes)
{
    /// <summary>Sends the guest of one process to another, which was started with <c>-incoming defer</c>.</summary>
    /// <param name="downtimeLimit">In milliseconds.</param>
    /// <param name="bandwidth">The most bytes a second.</param>
    /// <param name="postcopy">The guest goes over at once, and its RAM after it.</param>
    /// <param name="uri">Where the target listens; null for a port of the loopback.</param>
    /// <exception cref="IOException">It failed; the message says how.</exception>
    public static async Task<Move> MakeAsync(
        MigrationPeer source, MigrationPeer target, int downtimeLimit, long bandwidth, bool postcopy = false,
        string? uri = null)
    {
        uri ??= $"tcp:127.0.0.1:{MigrationPeer.FreePort()}";
        foreach (MigrationPeer peer in (MigrationPeer[])[source, target])
        {
            await peer.ExecuteAsync("migrate-set-parameters", new JsonObject
            {
                ["downtime-limit"] = downtimeLimit, ["max-bandwidth"] = bandwidth,
            }).ConfigureAwait(false);
            await peer.ExecuteAsync("migrate-set-capabilities", new JsonObject
            {
                // With a return path QEMU's sender, too, counts the downtime until the receiver has taken the guest; Vmm's always does.
                ["capabilities"] = new JsonArray(
                    new JsonObject { ["capability"] = "return-path", ["state"] = true },
                    new JsonObject { ["capability"] = "postcopy-ram", ["state"] = postcopy }),
            }).ConfigureAwait(false);
        }

        await target.ExecuteAsync("migrate-incoming", new JsonObject { ["uri"] = uri }).ConfigureAwait(false);
        await source.ExecuteAsync("migrate", new JsonObject { ["uri"] = uri }).ConfigureAwait(false);
        if (postcopy)
        {
            await source.ExecuteAsync("migrate-start-postcopy").ConfigureAwait(false);
        }

        JsonNode told = await CompletionAsync(source).ConfigureAwait(false);
        long resumed = await target.AwaitEventAsync("RESUME").ConfigureAwait(false);
        long stopped = await source.AwaitEventAsync("STOP").ConfigureAwait(false);
        return new Move(
            told["total-time"]!.GetValue<double>(), told["downtime"]!.GetValue<double>(),
            Stopwatch.GetElapsedTime(stopped, resumed).TotalMilliseconds,
            told["ram"]!["dirty-sync-count"]!.GetValue<long>(), told["ram"]!["transferred"]!.GetValue<long>());
    }

    /// <summary>Waits for the end of the migration of one side; what <c>query-migrate</c> then says.</summary>
    /// <exception cref="IOException">It failed.</exception>
    public static async Task<JsonNode> CompletionAsync(MigrationPeer peer)
    {
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < MigrationPeer.Patience)
        {
            JsonNode told = await peer.MigrationAsync().ConfigureAwait(false);
            switch (told["status"]?.ToString())
            {
                case "completed":
                    return told;
                case "failed" or "cancelled":
                    throw new IOException($"the migration {told["status"]}: {told["error-desc"]}");
            }

            await Task.Delay(20).ConfigureAwait(false);
        }

        throw new TimeoutException("the migration does not end");
    }
}
