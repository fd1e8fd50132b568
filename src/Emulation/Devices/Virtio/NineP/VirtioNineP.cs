using System.Buffers.Binary;
using System.Text;
using Vmm.Emulation.Block;
using Vmm.Emulation.Memory;
using Vmm.Emulation.State;
using static Vmm.Emulation.Devices.Virtio.NineP.NinePSpec;

namespace Vmm.Emulation.Devices.Virtio.NineP;

/// <summary>A request of a client. It belongs to one thread at a time, and is used again and again.</summary>
public sealed class NinePRequest
{
    internal DescriptorChain Chain { get; } = new();

    internal byte[] Input { get; } = new byte[MostMessage];

    internal byte[] Output { get; } = new byte[MostMessage];

    /// <summary>Whether the chain is one that was taken.</summary>
    internal bool IsTaken { get; set; }

    internal NinePType Type { get; set; }

    internal ushort Tag { get; set; }

    /// <summary>Bytes of the request and of the answer; no answer goes to the client where it is 0.</summary>
    internal int Length { get; set; }

    internal int AnswerLength { get; set; }
}

/// <summary>
/// The core of a shared folder: 9P over virtio (Virtual I/O Device 1.2 has the number of the device alone; Linux, net/9p/trans_virtio.c).
/// A thread of the backend takes a request (<see cref="TryTake"/>), reads it (<see cref="Read"/>), does it (<see cref="Process"/>), which
/// touches no RAM of the guest, and completes it (<see cref="Complete"/>).
/// <para>
/// While a client has the folder mounted the machine can neither be saved nor moved, as in QEMU: open files are this process's.
/// </para>
/// </summary>
public sealed class VirtioNineP : VirtioDevice
{
    private const int Requests = 0;

    private readonly VirtioNinePConfig _config;
    private readonly byte[] _space;

    // Replaced as a whole by a reset, under the lock of the registers; no request is under way then.
    private volatile NinePServer _server;

    // Tags of the requests under way, in whose lock requests are taken: a flush sees all that were taken before it.
    private readonly object _order = new();
    private readonly HashSet<ushort> _tags = [];

    // Those of them that are no flushes. A flush waits for these alone: flushes that wait for each other would wait for ever, and a pause
    // with them.
    private readonly HashSet<ushort> _work = [];

    public VirtioNineP(IDmaMemory memory, VirtioNinePConfig config)
        : base(memory, (ulong)config.Rings | MountTag, [QueueSize])
    {
        _config = config;
        _server = new NinePServer(config.Folder);
        byte[] tag = Encoding.UTF8.GetBytes(config.Tag);
        _space = new byte[2 + tag.Length];
        BinaryPrimitives.WriteUInt16LittleEndian(_space, (ushort)tag.Length);
        tag.CopyTo(_space, 2);
    }

    public override string Name => "virtio-9p";

    public override VirtioDeviceId DeviceId => VirtioDeviceId.FileSystem9P;

    public VirtioNinePConfig Config => _config;

    /// <summary>The tag by which clients mount it.</summary>
    public string Tag => _config.Tag;

    /// <summary>As QEMU words it.</summary>
    public override string? MoveBlocker => !_server.IsMounted ? null
        : $"Migration is disabled when VirtFS export path '{_config.Folder.Path}' is mounted in the guest using mount_tag '{_config.Tag}'";

    protected override Span<byte> Configuration => _space;

    protected override IReadOnlyList<(string Name, object Value)> OwnProperties => [("mount_tag", Tag)];

    /// <summary>Takes the next request.</summary>
    /// <exception cref="MissingPageException">A page has not arrived; to be tried again with the same request.</exception>
    public bool TryTake(NinePRequest request)
    {
        Span<byte> header = stackalloc byte[HeaderSize];
        lock (_order)
        {
            if (!request.IsTaken && !TryTake(Requests, request.Chain))
            {
                return false;
            }

            request.IsTaken = true;
            request.Length = 0;
            DescriptorChain chain = request.Chain;
            if (chain.ReadableLength < HeaderSize || chain.WritableLength < HeaderSize + 4
                || !chain.TryRead(Memory, 0, header))
            {
                Fail("virtio-9p: a request without room for a header");
                return true;
            }

            uint length = BinaryPrimitives.ReadUInt32LittleEndian(header);
            if (length < HeaderSize || length > chain.ReadableLength || length > MostMessage)
            {
                Fail($"virtio-9p: a request of {length} bytes in {chain.ReadableLength}; at most {MostMessage} are valid");
                return true;
            }

            request.Tag = BinaryPrimitives.ReadUInt16LittleEndian(header[5..]);
            if (!_tags.Add(request.Tag))
            {
                Fail($"virtio-9p: tag {request.Tag} is in use");
                return true;
            }

            (request.Type, request.Length) = ((NinePType)header[4], (int)length);
            if (request.Type != NinePType.Flush)
            {
                _work.Add(request.Tag);
            }

            return true;
        }
    }

    /// <summary>Reads what was taken.</summary>
    /// <exception cref="MissingPageException">A page has not arrived; to be tried again.</exception>
    public void Read(NinePRequest request)
    {
        if (request.Length > 0 && !request.Chain.TryRead(Memory, 0, request.Input.AsSpan(0, request.Length)))
        {
            Fail("virtio-9p: a request that is not RAM");
        }
    }

    /// <summary>Does the request. It may wait for the host's files, and a flush for another request.</summary>
    public void Process(NinePRequest request)
    {
        request.AnswerLength = 0;
        if (request.Length == 0 || Fault != null)
        {
            return;
        }

        ReadOnlySpan<byte> body = request.Input.AsSpan(HeaderSize, request.Length - HeaderSize);
        Span<byte> output = request.Output.AsSpan(0, (int)Math.Min(request.Chain.WritableLength, MostMessage));
        if (request.Type != NinePType.Flush)
        {
            request.AnswerLength = _server.Serve(request.Type, request.Tag, body, output);
            return;
        }

        // Whoever asks to drop a request may use its tag again after the answer (flush(5)): it has ended then.
        ushort old = body.Length >= 2 ? BinaryPrimitives.ReadUInt16LittleEndian(body) : request.Tag;
        lock (_order)
        {
            while (_work.Contains(old) && !IsResetting)
            {
                Monitor.Wait(_order);
            }
        }

        var writer = new NinePWriter(output);
        writer.Header(NinePType.Flush, request.Tag);
        request.AnswerLength = writer.Length;
    }

    /// <summary>Gives a request back with its answer; <see cref="VirtioDevice.Interrupt"/> then tells the driver.</summary>
    /// <exception cref="MissingPageException">A page has not arrived; to be tried again.</exception>
    public void Complete(NinePRequest request)
    {
        int answer = IsResetting ? 0 : request.AnswerLength;
        if (answer > 0 && !request.Chain.TryWrite(Memory, request.Output.AsSpan(0, answer)))
        {
            Fail("virtio-9p: an answer that is not RAM");
        }

        if (request.Length > 0)
        {
            lock (_order)
            {
                _tags.Remove(request.Tag);
                _work.Remove(request.Tag);
                Monitor.PulseAll(_order);
                request.Length = 0;
            }
        }

        Give(Requests, request.Chain, (uint)answer);
        request.IsTaken = false;
    }

    /// <summary>Interrupts for what was given back.</summary>
    public void Interrupt() => Interrupt(Requests);

    /// <summary>Whether the driver has notified since this was last asked.</summary>
    public bool TakeNotified() => TakeNotified(Requests);

    /// <summary>The driver is to notify of the next request; true when there is one already.</summary>
    /// <exception cref="MissingPageException">A page has not arrived; to be tried again.</exception>
    public bool AllowNotifications() => AllowNotifications(Requests);

    /// <summary>Whether there is a request that nobody has taken.</summary>
    public bool HasRequests => HasAvailable(Requests);

    protected override void ResetRegisters()
    {
        // Files are closed elsewhere: that may take longer than a vCPU should wait.
        NinePServer old = _server;
        _server = new NinePServer(_config.Folder);
        ThreadPool.UnsafeQueueUserWorkItem(server => server.Clear(), old, preferLocal: false);
    }

    protected override void LoadRegisters(StateReader reader) => ResetRegisters();
}

/// <summary>A shared folder of the command line.</summary>
/// <param name="Tag">Its name for clients (<c>mount_tag=</c>), at most <see cref="LongestTag"/> bytes.</param>
public sealed record VirtioNinePConfig(string Id, string Tag, SharedFolder Folder) : VirtioConfig(Id)
{
    public override string TypeName => "virtio-9p";

    /// <summary>As QEMU has it (MAX_TAG_LEN).</summary>
    public const int LongestTag = 32;

    /// <summary>What rings it offers.</summary>
    public VirtioFeatures Rings { get; init; } = VirtioFeatures.IndirectDescriptors | VirtioFeatures.EventIndex;

    /// <summary>Opens a folder to share.</summary>
    /// <param name="error">Why not, in the host's words.</param>
    public static SharedFolder? TryOpen(string path, bool isReadOnly, FolderSecurity security, out string error)
    {
        Errno result = FolderCalls.OpenRoot(path, out var root);
        error = result == Errno.None ? "" : ErrnoText.Of(result);
        return result == Errno.None ? new SharedFolder(path, root, isReadOnly, security) : null;
    }

    public override VirtioDevice Make(IDmaMemory memory) => new VirtioNineP(memory, this);

    public override void Dispose()
    {
        Folder.Root.Dispose();
        base.Dispose();
    }
}
