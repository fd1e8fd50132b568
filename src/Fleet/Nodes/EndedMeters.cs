using Vmm.Actors.Journals;
using Vmm.Actors.Vcpu;
using Vmm.Fleet.Messages;
using Vmm.Management.Text;

namespace Vmm.Fleet.Nodes;

/// <summary>
/// The times of a VM's processes that have ended, in files named after their meters, until the owner's account has them. They are read
/// again by a node that starts. The agent's alone.
/// </summary>
internal sealed class EndedMeters(VmFolder folder)
{
    private readonly Dictionary<string, VmMeter> _meters = new(StringComparer.Ordinal);

    /// <summary>The last readings.</summary>
    public IEnumerable<VmMeter> All => _meters.Values;

    /// <summary>Reads the files of a node's earlier run.</summary>
    /// <exception cref="IOException">They cannot be read.</exception>
    public void Load()
    {
        DurableFolder.Make(folder.Meters);
        foreach (string file in Directory.EnumerateFiles(folder.Meters))
        {
            Add(file);
        }
    }

    /// <summary>Takes the times of the process that has ended, if it has left any. No process has the file.</summary>
    public void Take()
    {
        try
        {
            if (VcpuMeter.ReadEnded(folder.Times) is { } reading)
            {
                string file = Path.Combine(folder.Meters, $"{reading.Meter}");
                File.Move(folder.Times, file, overwrite: true);
                Add(file);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Serilog.Log.Warning("{Vm}: the times of its last process: {Reason}", folder.Vm, SystemError.Describe(e));
        }
    }

    /// <summary>The times of the process that has ended are part of those of another, at another node.</summary>
    public void Drop() => Delete(folder.Times);

    /// <summary>The account has the last reading of a meter.</summary>
    public void Forget(string meter)
    {
        if (_meters.Remove(meter))
        {
            Delete(Path.Combine(folder.Meters, meter));
        }
    }

    // A file that stays is read again at the next start of the node: a reading that is counted twice changes nothing.
    private void Delete(string file)
    {
        try
        {
            File.Delete(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Serilog.Log.Warning("{Vm}: {Reason}", folder.Vm, SystemError.Describe(e, file));
        }
    }

    private void Add(string file)
    {
        if (VcpuMeter.ReadEnded(file) is { } reading)
        {
            _meters[$"{reading.Meter}"] = new VmMeter(
                $"{reading.Meter}", new DateTimeOffset(File.GetLastWriteTimeUtc(file)).ToUnixTimeMilliseconds(), reading.RunNs,
                reading.BusyNs, reading.EnabledNs);
        }
    }
}
