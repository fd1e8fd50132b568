using System.Diagnostics.CodeAnalysis;
using Vmm.Actors.Migration;
using Vmm.Host.Options;
using Vmm.Management.Text;

namespace Vmm.Host.Migration;

/// <summary>
/// A regular file. What is before the offset stays as it is, for whoever manages the file; what was behind it goes (QEMU,
/// migration/file.c).
/// </summary>
/// <param name="offset">Where the migration begins, in bytes.</param>
internal sealed class FileEndpoint(string path, long offset) : IMigrationEndpoint
{
    public bool HasReturnPath => false;

    public string? File => path;

    [SuppressMessage("Interoperability", "CA1416", Justification = "Vmm runs on Linux alone.")]
    public Task<Stream> ConnectAsync(CancellationToken stop)
    {
        bool there = System.IO.File.Exists(path) || Directory.Exists(path);
        FileStream? file = null;
        try
        {
            Refuse(there ? UserFile.RefusalOf(path) : null);

            // The file has all of the guest's memory: it is for its owner alone.
            file = new FileStream(path, new FileStreamOptions
            {
                Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.ReadWrite, BufferSize = 0,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            });
            file.SetLength(offset);
            file.Position = offset;
            return Task.FromResult<Stream>(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            file?.Dispose();
            throw new IOException($"Could not {(there ? "open" : "create")} '{UserText.Legible(path)}': {SystemError.Describe(e, path)}");
        }
    }

    public IMigrationListener Listen()
    {
        Open().Dispose();
        return new FileListener(this);
    }

    private FileStream Open()
    {
        try
        {
            Refuse(UserFile.RefusalOf(path));
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0) { Position = offset };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new IOException($"Could not open '{UserText.Legible(path)}': {SystemError.Describe(e, path)}");
        }
    }

    private static void Refuse(string? reason)
    {
        if (reason != null)
        {
            throw new IOException(reason);
        }
    }

    private sealed class FileListener(FileEndpoint endpoint) : IMigrationListener
    {
        public string Address => $"file:{endpoint.File}";

        public Task<Stream> AcceptAsync(CancellationToken stop) => Task.FromResult<Stream>(endpoint.Open());

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
