using System.Globalization;
using Microsoft.Win32.SafeHandles;

namespace Vmm.Emulation.Net.Tap;

/// <summary>
/// A program that makes a tap interface, puts it into a bridge and hands its descriptor over, for users who may not do so themselves:
/// QEMU's qemu-bridge-helper, which is started with <c>--use-vnet --fd=N --br=BRIDGE</c> and sends the descriptor over the socket N
/// (SCM_RIGHTS).
/// </summary>
internal static class BridgeHelper
{
    private const int Descriptor = 3;

    /// <param name="helper">Its path, or a command with arguments of its own.</param>
    /// <exception cref="NetException">It gives none: one line.</exception>
    public static SafeFileHandle Open(string helper, string bridge)
    {
        string own = string.Create(CultureInfo.InvariantCulture, $"--use-vnet --fd={Descriptor} --br={bridge}");
        string[] command = helper.Contains(' ') ? ["/bin/sh", "-c", $"{helper} {own}"] : [helper, .. own.Split(' ')];
        (HostSocket here, HostSocket there) = HostSocket.MakePair();
        using (here)
        {
            HostProcess process;
            using (there)
            {
                process = HostProcess.Start(command, [], [(there.Handle, Descriptor)]);
            }

            using (process)
            {
                SafeFileHandle? file = here.ReceiveDescriptor();
                int status = process.AwaitEnd();
                if (status == 0 && file != null && TapDevice.SetNonBlocking(file))
                {
                    return file;
                }

                file?.Dispose();
                throw new NetException($"bridge helper {helper} gave no interface of bridge '{bridge}' (exit status {status})");
            }
        }
    }
}
