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
/// request that may change something, and for each operation when it has ended. No token and no body is in it. A file that is long is
/// called <c>.1</c> behind its name from then on, the one before <c>.2</c> and so on, and the last of eight is removed.
/// </summary>
internal sealed class AuditLog : IDisposable
{
    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private const long MostBytes = 16 << 20;
    private const int KeptFiles = 8;

    private readonly Lock _lock = new();
    private readonly string _path;

    // Under the lock.
    private FileStream _file;

    /// <exception cref="NodeConfigException">The file cannot be written to.</exception>
    public AuditLog(string path)
    {
        _path = path;
        try
        {
            _file = Open(path);
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

    private static FileStream Open(string path)
    {
        var options = new FileStreamOptions { Mode = FileMode.Append, Access = FileAccess.Write, Share = FileShare.Read, BufferSize = 0 };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        return new FileStream(path, options);
    }

    // What cannot be renamed grows on.
    private void Rotate()
    {
        try
        {
            for (int older = KeptFiles - 1; older >= 1; older--)
            {
                if (File.Exists($"{_path}.{older}"))
                {
                    File.Move($"{_path}.{older}", $"{_path}.{older + 1}", overwrite: true);
                }
            }

            File.Move(_path, $"{_path}.1", overwrite: true);
            FileStream next = Open(_path);
            _file.Dispose();
            _file = next;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Log.Error("the audit log cannot begin a new file: {Reason}", SystemError.Describe(e));
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
                if (_file.Length >= MostBytes)
                {
                    Rotate();
                }

                _file.Write(line.GetBuffer(), 0, (int)line.Length);
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            Log.Error("the audit log cannot be written to: {Reason}", SystemError.Describe(e));
        }
    }
}
