using System.Diagnostics.CodeAnalysis;
using Microsoft.Win32.SafeHandles;
using Vmm.Actors.Migration;
using Vmm.Host.Options;
using Vmm.Management.Text;

namespace Vmm.Host.Migration;

/// <summary>
/// A regular file. What is before the offset stays as it is, for whoever manages the file; what was behind it goes (QEMU,
/// migration/file.c). Who writes it has it alone, and who maps it keeps others from writing it, by flock(2).
/// </summary>
/// <param name="offset">Where the migration begins, in bytes.</param>
internal sealed class FileEndpoint(string path, long offset) : IMigrationEndpoint, IMigrationFile
{
    // EAGAIN of flock(2): another program has the lock.
    private const int Locked = 11;

    public bool HasReturnPath => false;

    public bool TakesChannels => false;

    public IMigrationFile? File => this;

    public string Path => path;

    public long Offset => offset;

    [SuppressMessage("Reliability", "CA2000", Justification = "The stream closes the handle.")]
    public Task<Stream> ConnectAsync(CancellationToken stop) =>
        Task.FromResult<Stream>(new FileStream(Create(), FileAccess.ReadWrite, bufferSize: 0) { Position = offset });

    public SafeFileHandle Create()
    {
        bool there = System.IO.File.Exists(path) || Directory.Exists(path);
        SafeFileHandle? file = null;
        try
        {
            Refuse(there ? UserFile.RefusalOf(path) : null);
            file = OpenAlone();
            Cut(file);
            return file;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            file?.Dispose();
            string reason = e is IOException { HResult: Locked } ? "a guest's RAM is mapped from it, or it is being written"
                : SystemError.Describe(e, path);
            throw new IOException($"Could not {(there ? "open" : "create")} '{UserText.Legible(path)}': {reason}");
        }
    }

    // A file that was cut to nothing is written to the disk when it is closed, on ext4 (auto_da_alloc of ext4(5)), even if it was empty.
    private void Cut(SafeFileHandle file)
    {
        if (RandomAccess.GetLength(file) != offset)
        {
            RandomAccess.SetLength(file, offset);
        }
    }

    // A guest whose RAM is mapped from a file keeps that when another file takes its name.
    private SafeFileHandle OpenAlone()
    {
        try
        {
            return OpenToWrite();
        }
        catch (IOException e) when (e.HResult == Locked && offset == 0 && !IsBeingWritten())
        {
            System.IO.File.Delete(System.IO.File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path);
            return OpenToWrite();
        }
    }

    private bool IsBeingWritten()
    {
        try
        {
            OpenToRead().Dispose();
            return false;
        }
        catch (IOException e) when (e.HResult == Locked)
        {
            return true;
        }
    }

    // The file has all of the guest's memory: it is for its owner alone.
    [SuppressMessage("Interoperability", "CA1416", Justification = "Vmm runs on Linux alone.")]
    private SafeFileHandle OpenToWrite()
    {
        new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.OpenOrCreate, Access = FileAccess.Write, Share = FileShare.ReadWrite,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        }).Dispose();
        return System.IO.File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
    }

    private SafeFileHandle OpenToRead() => System.IO.File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read);

    public SafeFileHandle Open()
    {
        try
        {
            Refuse(UserFile.RefusalOf(path));
            return OpenToRead();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            string reason = e is IOException { HResult: Locked } ? "it is being written" : SystemError.Describe(e, path);
            throw new IOException($"Could not open '{UserText.Legible(path)}': {reason}");
        }
    }

    public IMigrationListener Listen()
    {
        Open().Dispose();
        return new FileListener(this);
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
        public string Address => $"file:{endpoint.Path}";

        [SuppressMessage("Reliability", "CA2000", Justification = "The stream closes the handle.")]
        public Task<Stream> AcceptAsync(CancellationToken stop) => Task.FromResult<Stream>(
            new FileStream(endpoint.Open(), FileAccess.Read, bufferSize: 0) { Position = endpoint.Offset });

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
