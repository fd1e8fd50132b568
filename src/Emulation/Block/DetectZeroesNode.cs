namespace Vmm.Emulation.Block;

/// <summary>Writes of nothing but zeros become requests for zeros (<c>detect-zeroes=</c>).</summary>
/// <param name="unmap">They need take no room of the host afterwards (<c>detect-zeroes=unmap</c>).</param>
public sealed class DetectZeroesNode(BlockNode child, bool unmap) : FilterNode(child)
{
    public override string Driver => Child.Driver;

    public override Errno Write(long offset, ReadOnlySpan<byte> data) =>
        data.ContainsAnyExcept((byte)0) ? base.Write(offset, data) : WriteZeroes(offset, data.Length, unmap);

    public override Errno Write(long offset, ReadOnlySpan<HostBuffer> buffers)
    {
        foreach (HostBuffer buffer in buffers)
        {
            if (buffer.Span.ContainsAnyExcept((byte)0))
            {
                return base.Write(offset, buffers);
            }
        }

        return WriteZeroes(offset, LengthOf(buffers), unmap);
    }
}
