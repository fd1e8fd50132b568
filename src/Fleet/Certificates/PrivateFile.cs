using System.Diagnostics.CodeAnalysis;
using Vmm.Actors.Journals;

namespace Vmm.Fleet.Certificates;

/// <summary>Files that are written whole or not at all, and such as nobody but their owner may read.</summary>
[SuppressMessage("Interoperability", "CA1416", Justification = "Vmm runs on Linux alone.")]
internal static class PrivateFile
{
    private const UnixFileMode Owner = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode Others = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    /// <summary>Writes a file with mode 600, or 644 for one that all may read, in place of one that is there.</summary>
    /// <exception cref="IOException">It cannot be written.</exception>
    public static void Write(string path, string text, bool isPublic)
    {
        string made = $"{path}.{Guid.NewGuid():N}";
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            UnixCreateMode = isPublic ? Owner | UnixFileMode.GroupRead | UnixFileMode.OtherRead : Owner,
        };
        try
        {
            using (var file = new FileStream(made, options))
            {
                using var writer = new StreamWriter(file, leaveOpen: true);
                writer.Write(text);
                writer.Flush();
                file.Flush(flushToDisk: true);
            }

            File.Move(made, path, overwrite: true);
            DurableFolder.Flush(Path.GetDirectoryName(Path.GetFullPath(path))!);
        }
        catch
        {
            File.Delete(made);
            throw;
        }
    }

    /// <summary>
    /// Makes a folder that nobody but its owner may enter, and those above it where they are missing; one that is there stays as it is.
    /// Each is there after a loss of power.
    /// </summary>
    /// <exception cref="IOException">One cannot be made, or its name is not on the disk.</exception>
    /// <exception cref="UnauthorizedAccessException">One may not be made.</exception>
    public static void MakeFolder(string path)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        if (!Directory.Exists(full) && Path.GetDirectoryName(full) is { } parent)
        {
            DurableFolder.Make(parent);
            Directory.CreateDirectory(full, Owner | UnixFileMode.UserExecute);
            DurableFolder.Flush(parent);
        }
    }

    /// <summary>Reads a file that only its owner may read.</summary>
    /// <exception cref="CertificateException">It is missing, or others may read it: one line.</exception>
    public static string Read(string path)
    {
        try
        {
            UnixFileMode mode = File.GetUnixFileMode(path);
            return (mode & Others) == 0 ? File.ReadAllText(path) : throw new CertificateException(
                $"{path} may be used by others than its owner (mode {Convert.ToString((int)mode, 8)}): chmod 600 {path}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CertificateException($"cannot read {path}: {e.Message}", e);
        }
    }
}
