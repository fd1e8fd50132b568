using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Rest;
using Vmm.Host.Commands;
using Vmm.Host.Guest;

namespace Vmm.Fleet.Tests.Commands;

/// <summary>The client of REST, with a node that the test answers for.</summary>
public sealed class FleetConnectionTests : IDisposable
{
    private readonly string _tokens = Path.GetTempFileName();
    private readonly string _server = $"http://{HostTools.FreeAddresses(1)[0]}";
    private readonly HttpListener _node = new();
    private readonly Clock _clock = new();
    private readonly ConcurrentQueue<string?> _ids = new();

    public FleetConnectionTests()
    {
        File.WriteAllText(_tokens, new string('t', 24));
        _node.Prefixes.Add($"{_server}/");
        _node.Start();
    }

    public void Dispose()
    {
        _node.Close();
        File.Delete(_tokens);
    }

    private sealed class Clock : TimeProvider
    {
        private long _now;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Interlocked.Read(ref _now);

        public void Advance(TimeSpan time) => Interlocked.Add(ref _now, time.Ticks);
    }

    // As a node whose record does not answer, for so many requests.
    private async Task ServeAsync(int busy, TimeSpan each)
    {
        while (true)
        {
            HttpListenerContext context = await _node.GetContextAsync();
            _ids.Enqueue(context.Request.Headers["Idempotency-Key"]);
            byte[] body = JsonSerializer.SerializeToUtf8Bytes(
                new VmOperation("vm1", "a", VmAction.Start, 0, "", true, RequestOutcome.Done, "", [], 0, 0), RestJson.Default.VmOperation);
            if (_ids.Count <= busy)
            {
                _clock.Advance(each);
                context.Response.StatusCode = (int)HttpStatusCode.ServiceUnavailable;
                body = """{"detail":"the record does not answer"}"""u8.ToArray();
            }

            context.Response.ContentType = "application/json";
            context.Response.Close(body, willBlock: false);
        }
    }

    private async Task<VmOperation> StartAsync(int busy, TimeSpan each)
    {
        _ = ServeAsync(busy, each);
        using var connection = new FleetConnection(_server, new FleetAccess(_tokens), _clock);
        return await connection.DoAsync("vm1", new NewOperation(VmAction.Start)).WaitAsync(Patience.Limit);
    }

    /// <summary>A node says after half a minute that a record does not answer.</summary>
    [Fact]
    public async Task Request_that_is_not_answered_is_repeated_with_its_id()
    {
        Assert.Equal(RequestOutcome.Done, (await StartAsync(3, TimeSpan.FromSeconds(31))).Outcome);
        Assert.Equal(4, _ids.Count);
        Assert.NotNull(Assert.Single(_ids.Distinct()));
    }

    [Fact]
    public async Task Request_that_is_not_answered_for_long_is_given_up_in_words()
    {
        var e = await Assert.ThrowsAsync<FleetException>(() => StartAsync(int.MaxValue, TimeSpan.FromSeconds(100)));
        Assert.Equal("no answer in 200 s; the fleet may still do what was asked (the record does not answer)", e.Message);
        Assert.Equal(2, _ids.Count);
    }
}
