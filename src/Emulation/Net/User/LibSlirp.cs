using System.Net;
using System.Runtime.InteropServices;

namespace Vmm.Emulation.Net.User;

/// <summary>libslirp (libslirp.h, version 4.7): a TCP/IP stack that ends the guest's connections at sockets of the host.</summary>
internal static unsafe partial class LibSlirp
{
    /// <summary>The file of the library, and the package that has it.</summary>
    public const string Library = "libslirp.so.0";
    public const string Package = "libslirp0";

    public const int PollIn = 1;
    public const int PollOut = 2;
    public const int PollPri = 4;
    public const int PollErr = 8;
    public const int PollHup = 16;

    /// <summary>The largest MTU that it takes (IF_MTU_MAX).</summary>
    public const int MostMtu = 65521;

    // The version of the structure that has outbound addresses and disable_dns, and not the timers of version 4.
    private const uint ConfigVersion = 3;

    /// <summary><c>SlirpCb</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Callbacks
    {
        public delegate* unmanaged<void*, nuint, void*, nint> SendPacket;
        public delegate* unmanaged<byte*, void*, void> GuestError;
        public delegate* unmanaged<void*, long> Clock;
        public delegate* unmanaged<delegate* unmanaged<void*, void>, void*, void*, void*> TimerNew;
        public delegate* unmanaged<void*, void*, void> TimerFree;
        public delegate* unmanaged<void*, long, void*, void> TimerMod;
        public delegate* unmanaged<int, void*, void> RegisterPoll;
        public delegate* unmanaged<int, void*, void> UnregisterPoll;
        public delegate* unmanaged<void*, void> Notify;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Address6
    {
        public ulong First;
        public ulong Second;
    }

    // struct in6_addr is aligned to 4 bytes, and so are its neighbours.
    [StructLayout(LayoutKind.Sequential, Pack = 4)]
    private struct Ip6Config
    {
        public Address6 Prefix;
        public byte PrefixLength;
        public Address6 Host;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Config
    {
        public uint Version;
        public int Restricted;
        public byte HasIp4;
        public uint Network;
        public uint Mask;
        public uint Host;
        public byte HasIp6;
        public Ip6Config Ip6;
        public byte* HostName;
        public byte* TftpServerName;
        public byte* TftpPath;
        public byte* BootFile;
        public uint DhcpStart;
        public uint NameServer;
        public fixed uint NameServer6[4];
        public byte** DnsSearch;
        public byte* DomainName;
        public nuint Mtu;
        public nuint Mru;
        public byte DisableHostLoopback;
        public byte EnableEmulation;
        public void* OutboundAddress;
        public void* OutboundAddress6;
        public byte DisableDns;
    }

    /// <summary>Makes a network; null where the library refuses it. The texts stay for as long as the process.</summary>
    public static void* New(UserNetOptions options, Callbacks* callbacks)
    {
        Config* config = (Config*)NativeMemory.AllocZeroed((nuint)sizeof(Config));
        config->Version = ConfigVersion;
        config->Restricted = options.Restrict ? 1 : 0;
        config->HasIp4 = options.HasIp4 ? (byte)1 : (byte)0;
        config->Network = Word(options.Network);
        config->Mask = Word(options.Mask);
        config->Host = Word(options.Host);
        config->HasIp6 = options.HasIp6 ? (byte)1 : (byte)0;
        config->Ip6.Prefix = Of(options.Prefix6);
        config->Ip6.PrefixLength = (byte)options.PrefixLength6;
        config->Ip6.Host = Of(options.Host6);
        config->HostName = Text(options.HostName);
        config->TftpServerName = Text(options.TftpServerName);
        config->TftpPath = Text(options.Tftp);
        config->BootFile = Text(options.BootFile);
        config->DhcpStart = Word(options.DhcpStart);
        config->NameServer = Word(options.Dns);
        options.Dns6.GetAddressBytes().CopyTo(new Span<byte>(config->NameServer6, 16));
        config->DnsSearch = Texts(options.DnsSearch);
        config->DomainName = Text(options.DomainName);
        (config->Mtu, config->Mru) = (MostMtu, MostMtu);
        return SlirpNew(config, callbacks, null);
    }

    /// <summary>An address in the order of the network, as the library takes it.</summary>
    public static uint Word(IPAddress address) => BitConverter.ToUInt32(address.GetAddressBytes());

    private static Address6 Of(IPAddress address)
    {
        byte[] bytes = address.GetAddressBytes();
        return new Address6 { First = BitConverter.ToUInt64(bytes), Second = BitConverter.ToUInt64(bytes, 8) };
    }

    private static byte* Text(string text) => text.Length == 0 ? null : (byte*)Marshal.StringToCoTaskMemUTF8(text);

    private static byte** Texts(IReadOnlyList<string> texts)
    {
        if (texts.Count == 0)
        {
            return null;
        }

        byte** list = (byte**)NativeMemory.AllocZeroed((nuint)(texts.Count + 1), (nuint)sizeof(byte*));
        for (int i = 0; i < texts.Count; i++)
        {
            list[i] = Text(texts[i]);
        }

        return list;
    }

    [LibraryImport(Library, EntryPoint = "slirp_new")]
    private static partial void* SlirpNew(Config* config, Callbacks* callbacks, void* opaque);

    [LibraryImport(Library, EntryPoint = "slirp_pollfds_fill")]
    public static partial void FillPolls(
        void* slirp, uint* timeout, delegate* unmanaged<int, int, void*, int> add, void* opaque);

    [LibraryImport(Library, EntryPoint = "slirp_pollfds_poll")]
    public static partial void Polled(void* slirp, int failed, delegate* unmanaged<int, void*, int> events, void* opaque);

    [LibraryImport(Library, EntryPoint = "slirp_input")]
    public static partial void Input(void* slirp, byte* frame, int length);

    [LibraryImport(Library, EntryPoint = "slirp_add_hostfwd")]
    public static partial int AddHostForward(
        void* slirp, int isUdp, uint hostAddress, int hostPort, uint guestAddress, int guestPort);

    [LibraryImport(Library, EntryPoint = "slirp_remove_hostfwd")]
    public static partial int RemoveHostForward(void* slirp, int isUdp, uint hostAddress, int hostPort);

    /// <summary>
    /// Leads connections of the guest to a Unix socket; negative where the address is none of the network, or has been given.
    /// </summary>
    [LibraryImport(Library, EntryPoint = "slirp_add_unix", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int AddUnix(void* slirp, string path, uint* guestAddress, int guestPort);

    [LibraryImport(Library, EntryPoint = "slirp_connection_info")]
    public static partial byte* ConnectionInfo(void* slirp);

    [LibraryImport(Library, EntryPoint = "slirp_state_save")]
    public static partial void SaveState(void* slirp, delegate* unmanaged<void*, nuint, void*, nint> write, void* opaque);

    [LibraryImport(Library, EntryPoint = "slirp_state_load")]
    public static partial int LoadState(void* slirp, int version, delegate* unmanaged<void*, nuint, void*, nint> read, void* opaque);

    [LibraryImport(Library, EntryPoint = "slirp_state_version")]
    public static partial int StateVersion();
}
