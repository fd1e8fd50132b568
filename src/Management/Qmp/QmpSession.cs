using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Serilog;
using Vmm.Management.CharacterDevices;
using Vmm.Management.Commands;
using Vmm.Management.Json;
using Vmm.Management.Qapi;

namespace Vmm.Management.Qmp;

/// <summary>The capabilities that a client can ask for.</summary>
public enum QmpCapability
{
    /// <summary>Commands out of band (<c>exec-oob</c>).</summary>
    Oob,
}

public sealed record QmpCapabilitiesArguments(QmpCapability[]? Enable);

/// <summary>
/// One client of the QMP server (QEMU, docs/interop/qmp-spec). Commands are executed one after another, except those sent with
/// <c>exec-oob</c>, which are executed at once. A client that does not read its answers is not read from; it loses its connection when too
/// many events wait for it.
/// </summary>
internal sealed class QmpSession
{
    private const string Capabilities = "qmp_capabilities";

    // The number of requests that wait, as in QEMU. More of them stay in the socket.
    private const int MostWaiting = 8;

    // The answers and events in bytes that may wait for a client to read them.
    private const int LargestOutput = 1 << 20;

    private static readonly TimeSpan s_farewell = TimeSpan.FromSeconds(1);

    private readonly QapiCommandTable _commands;
    private readonly CharacterConnection _connection;
    private readonly bool _pretty;
    private readonly OutputQueue _output;
    private readonly JsonMessageReader _reader = new();
    private readonly Channel<(JsonNode? Message, JsonMessageException? Error)> _waiting =
        Channel.CreateBounded<(JsonNode? Message,
            JsonMessageException? Error)>(new BoundedChannelOptions(MostWaiting) { SingleReader = true });

    private volatile bool _negotiated;
    private volatile bool _outOfBand;

    public QmpSession(QapiCommandTable commands, CharacterConnection connection, bool pretty)
    {
        _commands = commands;
        _connection = connection;
        _pretty = pretty;
        _output = new OutputQueue(connection.Output, LargestOutput);
    }

    /// <summary>Serves the client until it goes or <paramref name="stop"/>.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        await Send(new JsonObject
        {
            ["QMP"] = new JsonObject { ["version"] = QapiJson.Write(MachineCommands.Version),
                ["capabilities"] = new JsonArray("oob") },
        }).ConfigureAwait(false);
        Task working = Work();
        try
        {
            await Read(stop).ConfigureAwait(false);
        }
        finally
        {
            // Requests that a client has sent before it went away are still executed; at the end of the program, as many as a moment
            // allows.
            _waiting.Writer.TryComplete();
            Task done = working.ContinueWith(_ =>
                _output.Complete(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
            await Task.WhenAny(Task.WhenAll(done, _output.Completion), Farewell(stop)).ConfigureAwait(false);
        }
    }

    /// <summary>Sends an event to a client that has negotiated. It never waits. Any thread.</summary>
    public void SendEvent(ReadOnlyMemory<byte> compact, ReadOnlyMemory<byte> pretty)
    {
        if (_negotiated && !_output.TryAdd(_pretty ? pretty : compact) && !_output.HasEnded)
        {
            Log.Warning("{Peer} does not read its events: it is disconnected", _connection.Peer);
            _ = _connection.DisposeAsync().AsTask();
        }
    }

    /// <summary>The bytes of a message on the wire.</summary>
    public static byte[] Encode(JsonNode message, bool pretty) =>
        Encoding.ASCII.GetBytes(JsonMessageWriter.Write(message, pretty) + "\r\n");

    private async Task Read(CancellationToken stop)
    {
        byte[] buffer = new byte[4096];
        int count;
        while ((count = await _connection.Input.ReadAsync(buffer, stop).ConfigureAwait(false)) > 0)
        {
            foreach ((JsonNode? message, JsonMessageException? error) in _reader.Feed(buffer.AsMemory(0, count)))
            {
                if (_outOfBand && message is JsonObject request && request.ContainsKey("exec-oob"))
                {
                    await Answer(request).ConfigureAwait(false);
                }
                else
                {
                    await _waiting.Writer.WriteAsync((message, error), stop).ConfigureAwait(false);
                }
            }
        }
    }

    private static async Task Farewell(CancellationToken stop)
    {
        await Task.Delay(Timeout.Infinite, stop)
            .ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default).ConfigureAwait(false);
        await Task.Delay(s_farewell, CancellationToken.None).ConfigureAwait(false);
    }

    private async Task Work()
    {
        await foreach ((JsonNode? message, JsonMessageException? error) in _waiting.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            if (error != null)
            {
                await Send(ErrorOf(new QapiException(error.Message))).ConfigureAwait(false);
            }
            else
            {
                await Answer(message).ConfigureAwait(false);
            }
        }
    }

    private Task<bool> Send(JsonNode message) => _output.AddAsync(Encode(message, _pretty));

    private async Task Answer(JsonNode? message)
    {
        JsonNode? id = null;
        bool hasId = message is JsonObject asked && asked.Remove("id", out id);
        JsonObject answer;
        try
        {
            answer = new JsonObject { ["return"] = await Execute(message as JsonObject
                ?? throw new QapiException("QMP input must be a JSON object")).ConfigureAwait(false) };
            if (hasId)
            {
                answer["id"] = id;
            }
        }
        catch (QapiException e)
        {
            answer = ErrorOf(e);
            if (hasId)
            {
                answer.Insert(0, "id", id);
            }
        }

        await Send(answer).ConfigureAwait(false);
    }

    private static JsonObject ErrorOf(QapiException e) =>
        new() { ["error"] = new JsonObject { ["class"] = e.Class.ToString(), ["desc"] = e.Message } };

    private async Task<JsonNode?> Execute(JsonObject request)
    {
        (string name, bool outOfBand, JsonObject arguments) = Check(request);
        if (name == Capabilities || !_negotiated)
        {
            return Negotiate(name, arguments);
        }

        return await Run(name, outOfBand, arguments).ConfigureAwait(false);
    }

    private async Task<JsonNode?> Run(string name, bool outOfBand, JsonObject arguments)
    {
        QapiCommand command = _commands.Find(name)
            ?? throw new QapiException($"The command {name} has not been found", QapiErrorClass.CommandNotFound);
        if (outOfBand && !command.Shape.OutOfBand)
        {
            throw new QapiException($"The command {name} does not support OOB");
        }

        try
        {
            object? result = await command.Run(arguments).ConfigureAwait(false);
            return command.Shape.Result == null ? new JsonObject() : QapiJson.Write(result);
        }
        catch (Exception e) when (e is not QapiException)
        {
            // A defect of Vmm must leave neither the client without an answer nor the VM without a monitor.
            Log.Error(e, "QMP command {Name} failed", name);
            throw new QapiException($"{name} failed: {e.Message}");
        }
    }

    // Checks the members of a request, with the errors of QEMU's qapi/qmp-dispatch.
    private (string Name, bool OutOfBand, JsonObject Arguments) Check(JsonObject request)
    {
        string? verb = null;
        string name = "";
        JsonObject? arguments = null;
        foreach ((string key, JsonNode? value) in request)
        {
            if (key == "execute" || (key == "exec-oob" && _outOfBand))
            {
                name = value?.GetValueKind() == JsonValueKind.String ? value.GetValue<string>()
                    : throw new QapiException($"QMP input member '{key}' must be a string");
                verb = verb == null ? key : throw new QapiException($"QMP input member '{verb}' clashes with '{key}'");
            }
            else if (key == "arguments")
            {
                arguments = value as JsonObject ?? throw new QapiException("QMP input member 'arguments' must be an object");
            }
            else
            {
                throw new QapiException($"QMP input member '{key}' is unexpected");
            }
        }

        return verb == null ? throw new QapiException("QMP input lacks member 'execute'") : (name, verb == "exec-oob", arguments ?? []);
    }

    private JsonObject Negotiate(string name, JsonObject arguments)
    {
        if (name != Capabilities)
        {
            throw new QapiException($"Expecting capabilities negotiation with '{Capabilities}'", QapiErrorClass.CommandNotFound);
        }

        if (_negotiated)
        {
            throw new QapiException("Capabilities negotiation is already complete, command ignored", QapiErrorClass.CommandNotFound);
        }

        _outOfBand = QapiInput.Read<QmpCapabilitiesArguments>(arguments).Enable?.Contains(QmpCapability.Oob) == true;
        _negotiated = true;
        return [];
    }
}
