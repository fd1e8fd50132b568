using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Vmm.Emulation.Net.Tap;

/// <summary>
/// A bridge of the host (netdevice(7); include/uapi/linux/sockios.h). An interface that is put into it gets the bridge's MTU and an address
/// that begins with FE, as qemu-bridge-helper does it: a bridge takes the lowest address of its interfaces for its own, and is not to
/// change it when a VM comes.
/// </summary>
internal static unsafe partial class HostBridge
{
    private const int NameSize = 16;
    private const int Inet = 2;
    private const int Datagram = 2;
    private const int CloseOnExec = 0x80000;
    private const short Up = 1;

    private const nuint GetFlags = 0x8913;
    private const nuint SetFlags = 0x8914;
    private const nuint GetMtu = 0x8921;
    private const nuint SetMtu = 0x8922;
    private const nuint SetAddress = 0x8924;
    private const nuint GetAddress = 0x8927;
    private const nuint GetIndex = 0x8933;
    private const nuint AddToBridge = 0x89A2;

    // EPERM.
    private const int NotPermitted = 1;

    // struct ifreq: a name, and 24 bytes that depend on the call; an address is behind 16 bits of its family.
    [StructLayout(LayoutKind.Explicit, Size = 40)]
    private struct Request
    {
        [FieldOffset(0)]
        public fixed byte Name[NameSize];

        [FieldOffset(NameSize)]
        public int Number;

        [FieldOffset(NameSize)]
        public short Flags;

        [FieldOffset(NameSize + sizeof(short))]
        public byte FirstOfAddress;
    }

    /// <summary>Puts an interface into a bridge, and sets it up.</summary>
    /// <exception cref="NetException">The host does not let it: one line.</exception>
    public static void Add(string bridge, string name)
    {
        using SafeFileHandle socket = new(MakeSocket(Inet, Datagram | CloseOnExec, 0), ownsHandle: true);
        Request ofBridge = Named(bridge);
        if (Control(socket, GetMtu, &ofBridge) != 0)
        {
            throw new NetException($"the host has no bridge '{bridge}'");
        }

        int mtu = ofBridge.Number;
        Request request = Named(name);
        Ask(socket, GetAddress, &request, name);
        request.FirstOfAddress = 0xFE;
        Ask(socket, SetAddress, &request, name);
        request = Named(name);
        request.Number = mtu;
        Ask(socket, SetMtu, &request, name);
        request = Named(name);
        Ask(socket, GetIndex, &request, name);
        ofBridge.Number = request.Number;
        Ask(socket, AddToBridge, &ofBridge, bridge);
        request = Named(name);
        Ask(socket, GetFlags, &request, name);
        request.Flags |= Up;
        Ask(socket, SetFlags, &request, name);
    }

    private static Request Named(string name)
    {
        Request request = default;
        Encoding.UTF8.GetBytes(name, new Span<byte>(request.Name, NameSize - 1));
        return request;
    }

    private static void Ask(SafeFileHandle socket, nuint what, Request* request, string name)
    {
        if (Control(socket, what, request) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            string call = what == AddToBridge ? "cannot put an interface into the bridge" : "cannot set up the interface";
            throw new NetException($"{call} '{name}': {Marshal.GetPInvokeErrorMessage(error)}") { IsPermission = error == NotPermitted };
        }
    }

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial int MakeSocket(int domain, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Control(SafeFileHandle file, nuint request, Request* argument);
}
