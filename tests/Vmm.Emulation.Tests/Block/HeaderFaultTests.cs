using Vmm.Emulation.Block;
using Vmm.Emulation.Block.Qcow2;

namespace Vmm.Emulation.Tests.Block;

/// <summary>
/// The host says that it could not write a header that is to name another table, and has written it, or not: the image is whole, and holds
/// what it held.
/// </summary>
public sealed class HeaderFaultTests : IDisposable
{
    private const int Small = 1 << 20;
    private const int Large = 12 << 20;

    private readonly FaultyFile _file = new(new RecordedFile(new byte[16 << 20]));

    public void Dispose() => _file.Dispose();

    [Theory]
    [InlineData(Qcow2Spec.L1Size)]
    [InlineData(Qcow2Spec.RefcountTableOffset)]
    public void Header_that_may_have_been_written_is_written_back(int field)
    {
        (Qcow2Node node, _) = Make(field == Qcow2Spec.L1Size ? Small : Large);
        _file.FailsAt(field, times: 1);
        Assert.Equal(Errno.EIO, Grow(node, field));
        Assert.Equal(0, _file.Failures);
        var model = new DiskModel(node, DiskModel.ReadAll(node), new Random(field));
        for (int i = 0; i < 50; i++)
        {
            model.Step(20 << 10);
        }

        Assert.Equal(Errno.None, node.Flush());
        Assert.Null(node.Damage);
        node.Dispose();
        Assert.Empty(Qcow2Checker.Check(_file.Bytes, out _));
        using Qcow2Node again = Open();
        DiskModel.Equal(model.Bytes, DiskModel.ReadAll(again), 0);
    }

    [Theory]
    [InlineData(Qcow2Spec.L1Size)]
    [InlineData(Qcow2Spec.RefcountTableOffset)]
    public void Image_whose_header_nobody_knows_is_written_no_more(int field)
    {
        (Qcow2Node node, _) = Make(field == Qcow2Spec.L1Size ? Small : Large);
        Assert.Equal(Errno.None, node.Flush());
        byte[] held = DiskModel.ReadAll(node).AsSpan(0, 64 << 10).ToArray();
        _file.FailsAt(field, times: 2);
        Assert.Equal(Errno.EIO, Grow(node, field));
        Assert.Contains("its header could not be", node.Damage, StringComparison.Ordinal);
        byte[] bytes = _file.Bytes;
        Assert.Equal(Errno.EIO, node.Write(0, new byte[4096]));
        Assert.Equal(Errno.EIO, node.Flush());
        node.Dispose();
        Assert.Equal(bytes, _file.Bytes);
        Assert.Empty(Qcow2Checker.Check(bytes, out _));
        using Qcow2Node again = Open();
        DiskModel.Equal(held, DiskModel.ReadAll(again).AsSpan(0, held.Length), 0);
    }

    [Fact]
    public void Change_of_the_snapshots_that_meets_a_fault_of_ours_is_taken_back()
    {
        (Qcow2Node node, DiskModel model) = Make(Small);
        _file.ThrowsAfter(Qcow2Spec.DiskSize);
        using (Qcow2Change change = node.CreateSnapshot("one", DateTimeOffset.UnixEpoch, TimeSpan.Zero))
        {
            Assert.Throws<InvalidOperationException>(change.Commit);
        }

        for (int i = 0; i < 50; i++)
        {
            model.Step(20 << 10);
        }

        Assert.Empty(node.Snapshots);
        node.Dispose();
        Assert.Empty(Qcow2Checker.Check(_file.Bytes, out _));
        using Qcow2Node again = Open();
        Assert.Empty(again.Snapshots);
        DiskModel.Equal(model.Bytes, DiskModel.ReadAll(again), 0);
    }

    private (Qcow2Node Node, DiskModel Model) Make(int size)
    {
        Qcow2Image.Create(_file, size, new Qcow2Options { ClusterSize = 512 });
        Qcow2Node node = Open();
        byte[] data = new byte[size];
        new Random(size).NextBytes(data.AsSpan(0, 64 << 10));
        Assert.Equal(Errno.None, node.Write(0, data.AsSpan(0, 64 << 10)));
        return (node, new DiskModel(node, data, new Random(size)));
    }

    // Makes the image need a larger table.
    private static Errno Grow(Qcow2Node node, int field)
    {
        if (field == Qcow2Spec.L1Size)
        {
            return node.Resize(Large);
        }

        Errno error = Errno.None;
        for (int offset = 64 << 10; offset < Large && error == Errno.None; offset += 64 << 10)
        {
            error = node.Write(offset, new byte[64 << 10]);
        }

        return error;
    }

    private Qcow2Node Open() => Qcow2Image.Open(_file, true, new ImageOptions(), (_, _) => throw new InvalidOperationException());

    /// <summary>A file some of whose writes are done and said to have failed.</summary>
    private sealed class FaultyFile(RecordedFile file) : FilterNode(file)
    {
        private int _at = -1;
        private bool _throws;
        private bool _threw;

        public override string Driver => "file";

        public int Failures { get; private set; }

        public byte[] Bytes => file.After(file.Count, () => true);

        public void FailsAt(int offset, int times) => (_at, Failures) = (offset, times);

        public void ThrowsAfter(int offset) => (_at, _throws) = (offset, true);

        public override Errno Read(long offset, Span<byte> buffer)
        {
            if (_threw)
            {
                _threw = false;
                throw new InvalidOperationException();
            }

            return base.Read(offset, buffer);
        }

        public override Errno Write(long offset, ReadOnlySpan<byte> data)
        {
            Errno error = base.Write(offset, data);
            if (offset != _at)
            {
                return error;
            }

            (_threw, _throws) = (_throws, false);
            return Failures > 0 && Failures-- > 0 ? Errno.EIO : error;
        }

        // Opened again by the test.
        protected override void Close()
        {
        }
    }
}
