namespace Vmm.Emulation.Devices.Virtio.Vsock;

/// <summary>What a packet is for (Virtual I/O Device 1.2, section 5.10.6).</summary>
public enum VsockOperation : ushort
{
    Invalid = 0,
    Request = 1,
    Response = 2,
    Reset = 3,
    Shutdown = 4,
    Data = 5,
    CreditUpdate = 6,
    CreditRequest = 7,
}

/// <summary>What a side does no more (VIRTIO_VSOCK_SHUTDOWN_F_RECEIVE, _SEND).</summary>
[Flags]
public enum VsockShutdown
{
    None = 0,
    Receive = 1,
    Send = 2,
}

/// <summary>What a connection carries.</summary>
public enum VsockType : ushort
{
    /// <summary>Bytes (SOCK_STREAM).</summary>
    Stream = 1,

    /// <summary>Messages, each of which arrives as a whole (SOCK_SEQPACKET).</summary>
    Messages = 2,
}

/// <summary>Numbers of the socket device (Virtual I/O Device 1.2, section 5.10).</summary>
internal static class VsockSpec
{
    /// <summary>VIRTIO_VSOCK_F_STREAM.</summary>
    public const ulong StreamSockets = 1;

    /// <summary>VIRTIO_VSOCK_F_SEQPACKET.</summary>
    public const ulong MessageSockets = 2;

    /// <summary>A flag of data: a message ends with them (VIRTIO_VSOCK_SEQ_EOM).</summary>
    public const uint EndOfMessage = 1;

    /// <summary>The context identifier of the host.</summary>
    public const ulong HostCid = 2;

    // Queues.
    public const int ToDriver = 0;
    public const int FromDriver = 1;
    public const int Events = 2;
    public const int QueueSize = 128;

    // The configuration space: guest_cid[8].
    public const int ConfigurationSize = 8;

    // The header: src_cid[8] dst_cid[8] src_port[4] dst_port[4] len[4] type[2] op[2] flags[4] buf_alloc[4] fwd_cnt[4].
    public const int HeaderSize = 44;
    public const int SourceCid = 0;
    public const int DestinationCid = 8;
    public const int SourcePort = 16;
    public const int DestinationPort = 20;
    public const int Length = 24;
    public const int Type = 28;
    public const int Operation = 30;
    public const int Flags = 32;
    public const int BufferAllocation = 36;
    public const int ForwardCount = 40;

    // An event: id[4].
    public const int EventSize = 4;
    public const uint TransportReset = 0;
}
