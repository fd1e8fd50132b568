using System.Net.Sockets;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Single;
using Vmm.Host.Options;
using Vmm.Management.CharacterDevices;
using Vmm.Management.Commands;
using Vmm.Management.Text;

namespace Vmm.Host;

/// <summary>
/// REST of the VM (<c>-api</c>). Of all that a run executes this alone refers to the fleet, in <see cref="ServeAsync"/> and what it calls:
/// a run without the option loads neither the fleet's assemblies nor those of ASP.NET.
/// </summary>
internal sealed class ApiSocket : IAsyncDisposable
{
    private readonly string _path;
    private readonly Socket _socket;
    private SingleVmServer? _server;

    // They are set before the VM runs.
    private Action<ReadOnlyMemory<byte>>? _write;

    private ApiSocket(string path, Socket socket) => (_path, _socket) = (path, socket);

    /// <summary>Makes the socket; nobody can connect yet.</summary>
    /// <exception cref="OptionException">It cannot be made: one line.</exception>
    public static ApiSocket Open(string path)
    {
        try
        {
            return new ApiSocket(path, HostSocket.BindOwnerOnly(path));
        }
        catch (Exception e) when (e is SocketException or ArgumentException or IOException or UnauthorizedAccessException)
        {
            throw new OptionException($"-api: cannot listen at unix:{path}: {SystemError.Describe(e, path)}");
        }
    }

    /// <summary>Takes what the guest has written to its serial line.</summary>
    public void Write(ReadOnlyMemory<byte> bytes) => _write?.Invoke(bytes);

    /// <summary>Serves the VM, which does not run yet.</summary>
    public async Task ServeAsync(RunOptions options, VmSession session, MonitorVm vm)
    {
        MachineConfig config = session.Machine.Config;
        var single = new SingleVm(config.Name.Length > 0 ? config.Name : "vm", SpecOf(options, config), vm, session.SendSerial);
        _write = single.AddSerial;
        session.Published += single.Publish;
        _server = await SingleVmServer.StartAsync(_socket, single).ConfigureAwait(false);
    }

    /// <summary>Answers what is under way, and ends.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_server != null)
        {
            await _server.DisposeAsync().ConfigureAwait(false);
        }

        _socket.Dispose();
        File.Delete(_path);
    }

    private static VmSpec SpecOf(RunOptions options, MachineConfig config) => new(
        config.EnabledCpus, config.PossibleCpus, (long)config.MemoryBytes, config.Cpu.Name, Whole(options.Machine.Kernel),
        Whole(options.Machine.Initrd), options.Machine.Append, Whole(options.Machine.Bios),
        [.. options.Machine.Disks.Select(d => d.File).OfType<string>().Select(Whole)]);

    private static string Whole(string? path) => path == null ? "" : Path.GetFullPath(path);
}
