using System.IO.Compression;
using ZstdSharp;
using ZstdSharp.Unsafe;

namespace Vmm.Emulation.Block.Qcow2;

/// <summary>
/// Reads compressed clusters: raw deflate (RFC 1951) or zstd (RFC 8878). The last one is kept, because guests read a cluster in parts. Any
/// thread.
/// </summary>
internal sealed class Qcow2Decompressor(Qcow2Layout layout, bool zstd)
{
    // How far back a zstd frame may refer: 8 MiB, which levels without "--long" do not pass. A frame decides how much memory it takes.
    private const int MostWindowBits = 23;

    private readonly Lock _lock = new();
    private byte[] _cluster = [];
    private byte[] _compressed = [];
    private ulong _entry;

    /// <summary>Reads a part of a compressed cluster.</summary>
    /// <param name="entry">Of the L2 table.</param>
    /// <param name="skip">Bytes of the cluster before the part.</param>
    public Errno Read(ulong entry, int skip, Span<byte> buffer)
    {
        lock (_lock)
        {
            if (_entry != entry && Fill(entry) is var error && error != Errno.None)
            {
                return error;
            }

            _cluster.AsSpan(skip, buffer.Length).CopyTo(buffer);
            return Errno.None;
        }
    }

    private Errno Fill(ulong entry)
    {
        (long offset, int length) = layout.Compressed(entry);
        if (_cluster.Length == 0)
        {
            // The descriptor can name one sector more than two clusters have.
            _cluster = new byte[layout.ClusterSize];
            _compressed = new byte[(2 * layout.ClusterSize) + Qcow2Spec.SectorSize];
        }

        _entry = 0;
        if (length > _compressed.Length)
        {
            return Errno.EIO;
        }

        Errno error = layout.File.Read(offset, _compressed.AsSpan(0, length));
        if (error != Errno.None)
        {
            return error;
        }

        try
        {
            using var input = new MemoryStream(_compressed, 0, length, writable: false);
            using Stream output = zstd ? Zstd(input) : new DeflateStream(input, CompressionMode.Decompress);
            output.ReadExactly(_cluster);
            _entry = entry;
            return Errno.None;
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or ZstdException)
        {
            return Errno.EIO;
        }
    }

    private static DecompressionStream Zstd(MemoryStream input)
    {
        var stream = new DecompressionStream(input);
        stream.SetParameter(ZSTD_dParameter.ZSTD_d_windowLogMax, MostWindowBits);
        return stream;
    }
}
