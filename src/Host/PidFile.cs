using System.Globalization;
using Vmm.Host.Options;
using Vmm.Management.Text;

namespace Vmm.Host;

/// <summary>
/// The file of <c>-pidfile FILE</c>: holds the process id as long as the program runs. Only one process at a time can have it.
/// </summary>
public sealed class PidFile : IDisposable
{
    private readonly FileStream _file;

    private PidFile(FileStream file) => _file = file;

    /// <exception cref="OptionException">One line that says why the file cannot be made.</exception>
    public static PidFile Create(string path)
    {
        try
        {
            // The lock is advisory: it does not hinder a reader, and another Vmm that wants the same file finds it taken.
            var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.None);
            file.SetLength(0);
            file.Write(System.Text.Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessId}\n")));
            file.Flush();
            return new PidFile(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new OptionException($"cannot create PID file '{UserText.Legible(path)}': {SystemError.Describe(e, path)}");
        }
    }

    public void Dispose()
    {
        string path = _file.Name;
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Serilog.Log.Warning("The PID file {File} stays: {Reason}", path, SystemError.Describe(e, path));
        }

        _file.Dispose();
    }
}
