using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Vmm.Emulation.Net.Tap;

/// <summary>What became of a frame.</summary>
internal enum TapResult
{
    Done,

    /// <summary>There is no frame, or no room for one, now.</summary>
    WouldBlock,

    /// <summary>The host did not take it: the interface is down, or what the frame's header says is not so.</summary>
    Refused,

    /// <summary>The interface has been removed.</summary>
    Gone,
}

/// <summary>The calls of the host for tap interfaces (Linux, Documentation/networking/tuntap.rst; include/uapi/linux/if_tun.h).</summary>
internal static unsafe partial class TapDevice
{
    private const string ControlFile = "/dev/net/tun";
    private const int NameSize = 16;

    // open(2), fcntl(2).
    private const int ReadWrite = 2;
    private const int NonBlocking = 0x800;
    private const int CloseOnExec = 0x80000;
    private const int GetFlags = 3;
    private const int SetFlags = 4;
    private const int SetDescriptorFlags = 2;
    private const int CloseFlag = 1;

    private const nuint SetInterface = 0x4004_54CA;
    private const nuint GetFeatures = 0x8004_54CF;
    private const nuint SetOffload = 0x4004_54D0;
    private const nuint GetInterface = 0x8004_54D2;
    private const nuint SetSendBufferSize = 0x4004_54D4;
    private const nuint SetHeaderSize = 0x4004_54D8;

    // IFF_TAP, IFF_MULTI_QUEUE, IFF_NO_PI, IFF_VNET_HDR.
    private const short Tap = 2;
    private const short MultiQueue = 0x100;
    private const short NoPacketInformation = 0x1000;
    private const short VirtioHeader = 0x4000;

    // TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6.
    private const nuint Offloads = 1 | 2 | 4;

    private const int NotPermitted = 1;
    private const int NotThere = 2;
    private const int Interrupted = 4;
    private const int TryAgain = 11;
    private const int AccessDenied = 13;
    private const int Busy = 16;
    private const int Invalid = 22;
    private const int BadState = 77;

    // struct ifreq: a name, and 24 bytes that depend on the call.
    [StructLayout(LayoutKind.Explicit, Size = 40)]
    private struct Request
    {
        [FieldOffset(0)]
        public fixed byte Name[NameSize];

        [FieldOffset(NameSize)]
        public short Flags;
    }

    /// <summary>Makes an interface, or takes one that is there.</summary>
    /// <param name="name">Empty for one that the host chooses.</param>
    /// <param name="header">Whether with the header of virtio; null where the host has it.</param>
    /// <exception cref="NetException">The host does not let it: one line.</exception>
    public static SafeFileHandle Open(string name, bool? header)
    {
        int number = OpenFile(ControlFile, ReadWrite | NonBlocking | CloseOnExec);
        if (number < 0)
        {
            throw Failure($"could not open {ControlFile}");
        }

        var file = new SafeFileHandle(number, ownsHandle: true);
        uint features;
        bool hasHeader = Control(file, GetFeatures, &features) == 0 && (features & VirtioHeader) != 0 && header != false;
        var request = new Request { Flags = (short)(Tap | NoPacketInformation | (hasHeader ? VirtioHeader : 0)) };
        Encoding.UTF8.GetBytes(name, new Span<byte>(request.Name, NameSize - 1));
        int result = Control(file, SetInterface, &request);
        if (result != 0 && Marshal.GetLastPInvokeError() == Invalid)
        {
            // One that was made for several queues is taken with one.
            request.Flags |= MultiQueue;
            result = Control(file, SetInterface, &request);
        }

        if (result == 0)
        {
            return file;
        }

        string interfaceName = name.Length > 0 ? $"the interface '{name}'" : "an interface";
        NetException failure = Marshal.GetLastPInvokeError() == Busy ? new NetException($"{interfaceName} is used by another program")
            : Failure($"could not make {interfaceName} with {ControlFile}");
        file.Dispose();
        throw failure;
    }

    /// <summary>Takes a descriptor that this process has inherited.</summary>
    /// <exception cref="NetException">It is none.</exception>
    public static SafeFileHandle Take(int number)
    {
        var file = new SafeFileHandle(number, ownsHandle: true);
        if (!SetNonBlocking(file))
        {
            file.SetHandleAsInvalid();
            throw new NetException($"fd={number}: no file is open there");
        }

        return file;
    }

    /// <summary>Makes a descriptor ours: calls do not wait, and no program that we start has it. False where it is none.</summary>
    public static bool SetNonBlocking(SafeFileHandle file)
    {
        int flags = FileControl(file, GetFlags, 0);
        return flags >= 0 && FileControl(file, SetFlags, flags | NonBlocking) == 0 && FileControl(file, SetDescriptorFlags, CloseFlag) == 0;
    }

    /// <summary>The interface of a descriptor, and whether its frames have the header of virtio.</summary>
    /// <exception cref="NetException">It is not that of a tap interface.</exception>
    public static (string Name, bool HasHeader) Describe(SafeFileHandle file)
    {
        Request request = default;
        if (Control(file, GetInterface, &request) != 0)
        {
            throw Failure("the descriptor is none of an interface");
        }

        return (request.Flags & Tap) == 0 ? throw new NetException("the interface is none of type tap")
            : (Marshal.PtrToStringUTF8((nint)request.Name) ?? "", (request.Flags & VirtioHeader) != 0);
    }

    /// <summary>Says how long the header of virtio is, and takes frames that are larger than the link's and lack checksums.</summary>
    /// <exception cref="NetException">The host has no such header.</exception>
    public static void SetHeader(SafeFileHandle file, int size)
    {
        if (Control(file, SetHeaderSize, &size) != 0)
        {
            throw Failure($"frames cannot have a header of {size} bytes");
        }

        // Where the host cannot give such frames, it gives others.
        _ = ControlByValue(file, SetOffload, Offloads);
    }

    /// <param name="bytes">How many bytes may wait to be sent; 0 for no bound.</param>
    /// <exception cref="NetException">The host does not let it.</exception>
    public static void SetSendBuffer(SafeFileHandle file, int bytes)
    {
        int size = bytes == 0 ? int.MaxValue : bytes;
        if (Control(file, SetSendBufferSize, &size) != 0 && bytes != 0)
        {
            throw Failure($"sndbuf={bytes}");
        }
    }

    public static TapResult Write(SafeFileHandle file, ReadOnlySpan<byte> message)
    {
        fixed (byte* bytes = message)
        {
            while (true)
            {
                if (WriteFile(file, bytes, (nuint)message.Length) >= 0)
                {
                    return TapResult.Done;
                }

                if (Marshal.GetLastPInvokeError() != Interrupted)
                {
                    return ResultOfError();
                }
            }
        }
    }

    public static TapResult Read(SafeFileHandle file, Span<byte> room, out int count)
    {
        fixed (byte* bytes = room)
        {
            while (true)
            {
                count = (int)ReadFile(file, bytes, (nuint)room.Length);
                if (count >= 0)
                {
                    return TapResult.Done;
                }

                if (Marshal.GetLastPInvokeError() != Interrupted)
                {
                    return ResultOfError();
                }
            }
        }
    }

    private static TapResult ResultOfError() => Marshal.GetLastPInvokeError() switch
    {
        TryAgain => TapResult.WouldBlock,
        BadState => TapResult.Gone,
        _ => TapResult.Refused,
    };

    private static NetException Failure(string what)
    {
        int error = Marshal.GetLastPInvokeError();
        string reason = error switch
        {
            NotThere => "the host has no tun (modprobe tun)",
            NotPermitted or AccessDenied => "this needs root, or the capability CAP_NET_ADMIN",
            _ => Marshal.GetPInvokeErrorMessage(error),
        };
        return new NetException($"{what}: {reason}") { IsPermission = error is NotPermitted or AccessDenied };
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenFile(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int FileControl(SafeFileHandle file, int command, nint argument);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Control(SafeFileHandle file, nuint request, void* argument);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int ControlByValue(SafeFileHandle file, nuint request, nuint argument);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint ReadFile(SafeFileHandle file, byte* bytes, nuint count);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint WriteFile(SafeFileHandle file, byte* bytes, nuint count);
}
