using Microsoft.Win32.SafeHandles;

namespace Vmm.Emulation.Snapshots;

/// <summary>A file, or a part of one that has several.</summary>
/// <param name="File">Belongs to somebody else.</param>
/// <param name="Start">Where the part begins, in bytes.</param>
internal readonly record struct FilePart(SafeFileHandle File, long Start = 0)
{
    /// <param name="offset">From the beginning of the part.</param>
    /// <exception cref="IOException">It cannot be written.</exception>
    public void Write(ReadOnlySpan<byte> bytes, long offset) => RandomAccess.Write(File, bytes, Start + offset);

    /// <param name="offset">From the beginning of the part.</param>
    /// <exception cref="SnapshotException">The file ends before.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public void ReadExactly(Span<byte> bytes, long offset)
    {
        while (bytes.Length > 0)
        {
            int read = RandomAccess.Read(File, bytes, Start + offset);
            RamImage.Require(read > 0, "a file of it", "it is cut short");
            bytes = bytes[read..];
            offset += read;
        }
    }
}
