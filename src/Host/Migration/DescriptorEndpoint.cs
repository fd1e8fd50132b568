using System.Globalization;
using System.IO.Pipes;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Vmm.Actors.Migration;
using Vmm.Management.Text;

namespace Vmm.Host.Migration;

/// <summary>
/// A file descriptor that the program was started with: a connected socket, one end of a pipe, or a file. It is used up by the migration.
/// </summary>
internal sealed class DescriptorEndpoint(int number) : IMigrationEndpoint
{
    // What the kernel says that the descriptor is (proc(5)): "socket:[…]", "pipe:[…]" or a path. Null if there is none.
    private string? Target
    {
        get
        {
            try
            {
                return new FileInfo(string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{number}")).LinkTarget;
            }
            catch (IOException)
            {
                return null;
            }
        }
    }

    public bool HasReturnPath => IsSocket(Target);

    public bool TakesChannels => false;

    public IMigrationFile? File => null;

    public Task<Stream> ConnectAsync(CancellationToken stop) => Task.FromResult(Open(writes: true));

    public IMigrationListener Listen() => new SingleListener($"fd:{number}", Open(writes: false));

    private static bool IsSocket(string? target) => target?.StartsWith("socket:", StringComparison.Ordinal) == true;

    private Stream Open(bool writes)
    {
        // The program's own standard streams have other owners.
        string target = number > 2 && Target is { } found ? found
            : throw new IOException($"fd:{number}: the program was not started with such a file descriptor open");
        try
        {
            return IsSocket(target) ? SocketListener.StreamOf(new Socket(new SafeSocketHandle(number, ownsHandle: true)))
                : target.StartsWith("pipe:", StringComparison.Ordinal)
                    ? new OneWayStream(
                        new AnonymousPipeClientStream(
                            writes ? PipeDirection.Out : PipeDirection.In, new SafePipeHandle(number, ownsHandle: true)),
                        writes)
                : new FileStream(
                    new SafeFileHandle(number, ownsHandle: true), writes ? FileAccess.Write : FileAccess.Read, bufferSize: 0);
        }
        catch (Exception e) when (e is SocketException or IOException or ArgumentException or UnauthorizedAccessException)
        {
            throw new IOException($"fd:{number} ({UserText.Legible(target)}): {SystemError.Describe(e)}");
        }
    }
}
