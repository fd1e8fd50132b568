using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Serilog;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Messages;
using Vmm.Management.Text;

namespace Vmm.Fleet.Rest;

/// <summary>
/// Who has asked for what, and with which outcome: a file to which lines of JSON are added, for its owner alone. A line is written for each
/// request that may change something, and for each operation when it has ended. No token and no body is in it.
/// </summary>
internal sealed class AuditLog : IDisposable
{
    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly Lock _lock = new();
    private readonly FileStream _file;

    /// <exception cref="NodeConfigException">The file cannot be written to.</exception>
    public AuditLog(string path)
    {
        try
        {
            var options = new FileStreamOptions
            {
                Mode = FileMode.Append, Access = FileAccess.Write, Share = FileShare.Read, BufferSize = 0,
            };
            if (!OperatingSystem.IsWindows())
            {
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            }

            _file = new FileStream(path, options);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NodeConfigException($"cannot write the audit log '{UserText.Legible(path)}': {SystemError.Describe(e, path)}");
        }
    }

    /// <summary>A request was answered.</summary>
    /// <param name="name">Whose token it has.</param>
    public void Add(HttpContext context, string name, RestRole role) => Write(json =>
    {
        json.WriteString("name", name);
        json.WriteString("role", role.ToString());
        json.WriteString("method", context.Request.Method);
        json.WriteString("path", context.Request.Path.Value);
        json.WriteNumber("status", context.Response.StatusCode);
        if (context.Items[RestAnswers.Detail] is string detail)
        {
            json.WriteString("detail", detail);
        }

        if (context.Response.Headers.Location.ToString() is { Length: > 0 } location)
        {
            json.WriteString("location", location);
        }
    });

    /// <summary>An operation has ended.</summary>
    public void Add(VmOperation operation) => Write(json =>
    {
        json.WriteString("vm", operation.Vm);
        json.WriteString("operation", operation.Id);
        json.WriteString("action", operation.Action.ToString());
        json.WriteNumber("number", operation.Number);
        json.WriteString("text", operation.Text);
        json.WriteString("outcome", operation.Outcome.ToString());
        json.WriteString("detail", operation.Detail);
    });

    public void Dispose()
    {
        lock (_lock)
        {
            _file.Dispose();
        }
    }

    private void Write(Action<Utf8JsonWriter> members)
    {
        using var line = new MemoryStream();
        using (var json = new Utf8JsonWriter(line, s_json))
        {
            json.WriteStartObject();
            json.WriteString("at", DateTimeOffset.UtcNow);
            members(json);
            json.WriteEndObject();
        }

        line.WriteByte((byte)'\n');
        try
        {
            // One write: a line is there whole, or not at all.
            lock (_lock)
            {
                _file.Write(line.GetBuffer(), 0, (int)line.Length);
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            Log.Error("the audit log cannot be written to: {Reason}", SystemError.Describe(e));
        }
    }
}
