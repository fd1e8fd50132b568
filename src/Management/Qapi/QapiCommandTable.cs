using System.Text.Json.Nodes;

namespace Vmm.Management.Qapi;

/// <summary>A command with the shape that QAPI gives it. Every face that speaks JSON can offer it.</summary>
/// <param name="Run">Takes the arguments and gives the result, or null for none.</param>
public sealed record QapiCommand(QapiCommandShape Shape, Func<JsonObject, Task<object?>> Run);

/// <summary>Commands by name. Each family adds its own.</summary>
public sealed class QapiCommandTable
{
    private readonly Dictionary<string, QapiCommand> _commands = new(StringComparer.Ordinal);

    public IReadOnlyCollection<QapiCommand> Commands => _commands.Values;

    /// <summary>An event of a command's, by its name, for all clients. Any thread.</summary>
    public event Action<string, object>? Raised;

    /// <summary>Tells all clients of an event.</summary>
    public void Raise(string name, object data) => Raised?.Invoke(name, data);

    public QapiCommand? Find(string name) => _commands.GetValueOrDefault(name);

    /// <summary>A command without arguments and result.</summary>
    public void Add(string name, Func<Task> run, bool outOfBand = false) =>
        Add(new QapiCommandShape(name, null, null, outOfBand), arguments =>
    {
        RefuseArguments(arguments);
        return Nothing(run());
    });

    /// <summary>A command with arguments and without result.</summary>
    public void Add<TArguments>(string name, Func<TArguments, Task> run, bool outOfBand = false) =>
        Add(new QapiCommandShape(name, typeof(TArguments), null, outOfBand), arguments =>
            Nothing(run(QapiInput.Read<TArguments>(arguments))));

    /// <summary>A command whose handler reads the arguments itself, because it takes more members than the schema names.</summary>
    public void AddOpen<TArguments>(string name, Func<JsonObject, Task> run, bool outOfBand = false, string[]? features = null) =>
        Add(new QapiCommandShape(name, typeof(TArguments), null, outOfBand, features), arguments => Nothing(run(arguments)));

    /// <summary>A query without arguments.</summary>
    public void AddQuery<TResult>(string name, Func<Task<TResult>> run) =>
        Add(new QapiCommandShape(name, null, typeof(TResult), false), async arguments =>
        {
            RefuseArguments(arguments);
            return await run().ConfigureAwait(false);
        });

    /// <summary>A query with arguments.</summary>
    public void AddQuery<TArguments, TResult>(string name, Func<TArguments, Task<TResult>> run, params string[] features) =>
        Add(new QapiCommandShape(name, typeof(TArguments), typeof(TResult), false, features), async arguments =>
            await run(QapiInput.Read<TArguments>(arguments)).ConfigureAwait(false));

    /// <summary>A query without arguments that gives its result as JSON. The type describes the shape for the schema.</summary>
    public void AddQuery(string name, Type result, Func<JsonNode> run, bool outOfBand = false) =>
        Add(new QapiCommandShape(name, null, result, outOfBand), arguments =>
    {
        RefuseArguments(arguments);
        return Task.FromResult<object?>(run());
    });

    /// <summary>The same for a result that takes time.</summary>
    public void AddQuery(string name, Type result, Func<Task<JsonNode>> run, bool outOfBand = false) =>
        Add(new QapiCommandShape(name, null, result, outOfBand), async arguments =>
        {
            RefuseArguments(arguments);
            return await run().ConfigureAwait(false);
        });

    private static async Task<object?> Nothing(Task task)
    {
        await task.ConfigureAwait(false);
        return null;
    }

    private void Add(QapiCommandShape shape, Func<JsonObject, Task<object?>> run) => _commands.Add(shape.Name, new QapiCommand(shape, run));

    private static void RefuseArguments(JsonObject arguments)
    {
        foreach ((string key, _) in arguments)
        {
            throw new QapiException($"Parameter '{key}' is unexpected");
        }
    }
}
