using Vmm.Management.Text;

namespace Vmm.Management.CharacterDevices;

/// <summary>A device without another side: output is dropped, and no input ever comes.</summary>
public sealed class NullDevice(string label) : CharacterDevice(label)
{
    public override string FileName => "null";

    public override bool IsConnected => true;

    public override Task RunAsync(Func<CharacterConnection, Task> serve, int atOnce, CancellationToken stop) =>
        ServeAsync(new CharacterConnection(Stream.Null, Stream.Null, Label), serve);
}

/// <summary>A file that takes output; no input ever comes from it.</summary>
public sealed class FileDevice : CharacterDevice
{
    private readonly FileStream _file;

    /// <exception cref="CharacterDeviceException">The file cannot be made.</exception>
    public FileDevice(string label, string path, bool append)
        : base(label)
    {
        try
        {
            _file = new FileStream(path, append ? FileMode.Append : FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new CharacterDeviceException($"cannot write '{UserText.Legible(path)}': {SystemError.Describe(e, path)}");
        }
    }

    public override string FileName => "file";

    public override bool IsConnected => true;

    public override Task RunAsync(Func<CharacterConnection, Task> serve, int atOnce, CancellationToken stop) =>
        ServeAsync(new CharacterConnection(Stream.Null, _file, Label), serve);

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync().ConfigureAwait(false);
        await _file.DisposeAsync().ConfigureAwait(false);
    }
}

/// <summary>The streams stdin and stdout: the terminal, or whatever they are connected to.</summary>
public sealed class StdioDevice(string label, Stream input, Stream output) : CharacterDevice(label)
{
    public override string FileName => "stdio";

    public override bool IsConnected => true;

    public override Task RunAsync(Func<CharacterConnection, Task> serve, int atOnce, CancellationToken stop) =>
        ServeAsync(new CharacterConnection(input, output, Label), serve);
}
