using System.Text;
using Vmm.Emulation.Block;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Block;
using Vmm.Emulation.Memory;
using Vmm.Emulation.State;
using Vmm.Emulation.Tests.Jit;
using Vmm.Tests;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>The core of a disk on virtio, with the test as its driver and its backend.</summary>
public sealed class VirtioBlkTests(ITestOutputHelper output) : VirtioDeviceTests
{
    private const int Sectors = 512;
    private const byte Ok = 0;
    private const byte IoError = 1;
    private const byte Unsupported = 2;
    private const ulong AllFeatures = 1ul << 9 | 1ul << 11 | 1ul << 13 | 1ul << 14;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-blk-");
    private readonly List<BlockBackend> _disks = [];

    public override void Dispose()
    {
        _disks.ForEach(d => d.Dispose());
        base.Dispose();
        _folder.Delete(recursive: true);
    }

    public static TheoryData<string, bool, bool, bool> Disks()
    {
        var all = new TheoryData<string, bool, bool, bool>();
        for (int i = 0; i < 16; i++)
        {
            all.Add((i & 8) == 0 ? "raw" : "qcow2", (i & 1) != 0, (i & 2) != 0, (i & 4) != 0);
        }

        return all;
    }

    /// <summary>Every type of request, over either ring with each feature of rings off and on, on either format.</summary>
    [Theory]
    [MemberData(nameof(Disks))]
    public void Requests_do_to_the_disk_what_they_say(string format, bool packed, bool indirect, bool eventIndex)
    {
        VirtioBlk blk = Make(format, out VirtioMmio slot, out PhysicalAddressSpace ram);
        var driver = new BlkDriver(slot, ram, packed, indirect, eventIndex, AllFeatures);
        byte[] model = new byte[Sectors * 512];
        var random = new Random(1);
        for (int step = 0; step < 200; step++)
        {
            int count = 1 + random.Next(8);
            ulong sector = (ulong)random.Next(Sectors - count);
            Span<byte> place = model.AsSpan((int)sector * 512, count * 512);
            switch (random.Next(5))
            {
                case 0 or 1:
                    byte[] data = new byte[count * 512];
                    random.NextBytes(data);
                    data.CopyTo(place);
                    Assert.Equal((Ok, 1u), Do(blk, driver, BlkDriver.Out, sector, data, false, 1 + random.Next(5)));
                    break;
                case 2:
                    Assert.Equal((Ok, (uint)(count * 512) + 1),
                        Do(blk, driver, BlkDriver.In, sector, new byte[count * 512], true, 1 + random.Next(5)));
                    Assert.True(place.SequenceEqual(driver.DataOf(count * 512)));
                    break;
                case 3:
                    place.Clear();
                    byte[] range = BlkDriver.Range(sector, (uint)count, (uint)random.Next(2));
                    Assert.Equal((Ok, 1u), Do(blk, driver, BlkDriver.WriteZeroes, 0, range, false));
                    break;
                default:
                    Assert.Equal((Ok, 1u), Do(blk, driver, BlkDriver.Flush, 0, [], false));
                    break;
            }
        }

        Assert.Equal((Ok, 1u), Do(blk, driver, BlkDriver.Discard, 0, BlkDriver.Range(0, Sectors, 0), false));
        Assert.Equal(Ok, Do(blk, driver, BlkDriver.GetId, 0, new byte[20], true).Status);
        Assert.Equal("serial number of th", Encoding.ASCII.GetString(driver.DataOf(20))[..19]);
        Assert.Null(blk.Fault);
        Assert.True(blk.Disk.Statistics.Done(BlockOperation.Read) > 0 && blk.Disk.Statistics.Bytes(BlockOperation.Write) > 0);
    }

    [Theory]
    [InlineData(BlkDriver.In, Sectors, 512, IoError)] // behind the end
    [InlineData(BlkDriver.In, Sectors - 1, 1024, IoError)]
    [InlineData(BlkDriver.In, 0, 500, IoError)] // no whole sector
    [InlineData(BlkDriver.Out, ulong.MaxValue, 512, IoError)]
    [InlineData(99u, 0, 512, Unsupported)]
    public void Request_that_cannot_be_is_told_of(uint type, ulong sector, int length, byte status)
    {
        VirtioBlk blk = Make("raw", out VirtioMmio slot, out PhysicalAddressSpace ram);
        var driver = new BlkDriver(slot, ram, false, false, false, AllFeatures);
        Assert.Equal(status, Do(blk, driver, type, sector, new byte[length], type == BlkDriver.In).Status);
        Assert.Null(blk.Fault);
    }

    [Theory]
    [InlineData(BlkDriver.Discard, 0, 8, 1, Unsupported)] // unmap is no flag of a discard
    [InlineData(BlkDriver.WriteZeroes, 0, 8, 2, Unsupported)]
    [InlineData(BlkDriver.WriteZeroes, Sectors, 1, 0, IoError)]
    [InlineData(BlkDriver.Discard, 1, Sectors, 0, IoError)]
    public void Range_that_cannot_be_is_told_of(uint type, ulong sector, uint sectors, uint flags, byte status)
    {
        VirtioBlk blk = Make("raw", out VirtioMmio slot, out PhysicalAddressSpace ram);
        var driver = new BlkDriver(slot, ram, false, false, false, AllFeatures);
        Assert.Equal(status, Do(blk, driver, type, 0, BlkDriver.Range(sector, sectors, flags), false).Status);
    }

    [Fact]
    public void Disk_that_is_read_only_says_so_and_is_not_written()
    {
        VirtioBlk blk = Make("raw", out VirtioMmio slot, out PhysicalAddressSpace ram, readOnly: true);
        var driver = new BlkDriver(slot, ram, false, false, false, 1ul << 5);
        Assert.Equal(0ul, driver.Slot.Offered & (1ul << 13 | 1ul << 14));
        Assert.Equal(IoError, Do(blk, driver, BlkDriver.Out, 0, new byte[512], false).Status);
        Assert.Equal(IoError, Do(blk, driver, BlkDriver.WriteZeroes, 0, BlkDriver.Range(0, 1, 0), false).Status);
        Assert.Equal(Ok, Do(blk, driver, BlkDriver.In, 0, new byte[512], true).Status);
    }

    [Fact]
    public void Chain_without_header_or_status_breaks_the_device_until_a_reset()
    {
        VirtioBlk blk = Make("raw", out VirtioMmio slot, out PhysicalAddressSpace ram);
        var driver = new BlkDriver(slot, ram, false, false, false, 0);
        driver.Ring.Add([new RingDriver.Part(RingDriver.Base + 0x8_0000, 15, false), new(RingDriver.Base + 0x8_1000, 1, true)], false);
        var request = new VirtioBlkRequest();
        Assert.True(blk.TryTake(0, request));
        VirtioBlkOutcome outcome = blk.Attempt(request);
        Assert.Equal(VirtioBlkOutcome.Broken, outcome);
        blk.Complete(request, outcome);
        Assert.Equal("virtio-blk missing headers", blk.Fault);
        Assert.Equal(0x4Fu, driver.Slot.Status);
        driver.Slot.Status = 0;
        Assert.Equal(0u, driver.Slot.Status);
    }

    [Fact]
    public void Configuration_tells_the_disk_and_a_new_size_interrupts()
    {
        VirtioBlk blk = Make("raw", out VirtioMmio slot, out PhysicalAddressSpace ram, queues: 4);
        var driver = new BlkDriver(slot, ram, false, false, false, 1ul << 12, queue: 3);
        Assert.Equal(Sectors, (long)slot.Read(0x100, 8));
        Assert.Equal(126u, slot.Read(0x10C, 4));
        Assert.Equal(512u, slot.Read(0x114, 4));
        Assert.Equal(4u, slot.Read(0x122, 2));
        Assert.Equal(Ok, Do(blk, driver, BlkDriver.Flush, 0, [], false, queue: 3).Status);
        driver.Slot.Interrupts();
        uint generation = driver.Slot[0x0FC];
        Assert.Equal(Errno.None, blk.Disk.Root!.Resize(2 * Sectors * 512));
        blk.SizeChanged();
        Assert.Equal(2u, driver.Slot.Interrupts());
        Assert.NotEqual(generation, driver.Slot[0x0FC]);
        Assert.Equal(2 * Sectors, (long)slot.Read(0x100, 8));
    }

    [Theory]
    [InlineData(1ul << 11 | 1ul << 9, true)] // the guest turns it off
    [InlineData(1ul << 9, false)] // it can flush, so there is one
    [InlineData(0, true)] // it cannot flush, so there is none
    public void Write_without_a_cache_is_flushed(ulong features, bool flushed)
    {
        VirtioBlk blk = Make("raw", out VirtioMmio slot, out PhysicalAddressSpace ram);
        var node = new CountingNode(blk.Disk.Root!);
        blk.Disk.Replace(node);
        var driver = new BlkDriver(slot, ram, false, false, false, features);
        slot.Write(0x120, 1, 0);
        Assert.Equal(0ul, slot.Read(0x120, 1));
        Assert.Equal(Ok, Do(blk, driver, BlkDriver.Out, 0, new byte[512], false).Status);
        Assert.Equal(flushed ? 1 : 0, node.Flushes);
    }

    [Fact]
    public void Request_that_is_kept_goes_on_in_another_machine()
    {
        VirtioBlk blk = Make("raw", out VirtioMmio slot, out PhysicalAddressSpace ram);
        var driver = new BlkDriver(slot, ram, true, true, true, AllFeatures);
        byte[] data = [.. Enumerable.Repeat((byte)0x5A, 1024)];
        int id = driver.Submit(BlkDriver.Out, 4, data, false, 3);
        var request = new VirtioBlkRequest();
        Assert.True(blk.TryTake(0, request));
        using var saved = new MemoryStream();
        Archive.Save(saved, [.. slot.StateUnits, new Requests(() => [request], null!)]);
        VirtioBlk other = Make("raw", out VirtioMmio otherSlot, out _);
        IReadOnlyList<VirtioBlkRequest> loaded = [];
        saved.Position = 0;
        Archive.Load(saved, [.. otherSlot.StateUnits, new Requests(null!, reader => loaded = VirtioBlkRequest.Load(reader, other))]);
        other.Adopt(0);
        VirtioBlkRequest kept = Assert.Single(loaded);
        Assert.False(other.TryTake(0, new VirtioBlkRequest()));
        Assert.Equal(VirtioBlkOutcome.Done, other.Attempt(kept));
        other.Complete(kept, VirtioBlkOutcome.Done);
        Assert.Equal((id, 1u), driver.Ring.Take());
        Assert.False(other.HasTaken);
        byte[] written = new byte[1024];
        Assert.Equal(Errno.None, other.Disk.Root!.Read(2048, written));
        Assert.Equal(data, written);
    }

    /// <summary>Any bytes in rings, tables and headers: no exception, no access outside RAM, and the disk stays whole.</summary>
    [Fact]
    public void Fuzzed_requests_take_nothing_down()
    {
        var run = new FuzzRun(3_000);
        VirtioBlk blk = Make("qcow2", out VirtioMmio slot, out PhysicalAddressSpace ram);
        Span<byte> all = Memory.Span(new GuestPhysicalAddress(RingDriver.Base), (int)RingDriver.RamSize);
        int requests = 0;
        var request = new VirtioBlkRequest();
        foreach (int program in run.Programs())
        {
            var random = new Random(run.SeedOf(program));
            bool packed = random.Next(2) == 0;
            var driver = new MmioDriver(slot);
            Assert.True(driver.Negotiate(MmioDriver.Version1 | (AllFeatures & (ulong)random.NextInt64()) | (packed ? 1ul << 34 : 0)
                | (random.Next(2) == 0 ? 1ul << 28 : 0)), run.Name(program));
            RingDriver ring = RingDriver.Create(ram, packed, 16, default);
            driver.Enable(0, ring.Layout);
            driver.Go();
            for (int i = 0; i < 8; i++)
            {
                var parts = new RingDriver.Part[1 + random.Next(5)];
                for (int p = 0; p < parts.Length; p++)
                {
                    ulong address = RingDriver.Base + 0x8_0000 + ((ulong)random.Next(64) * 0x1000) + (ulong)random.Next(3);
                    uint length = random.Next(8) switch
                    {
                        0 => 0,
                        1 => 1,
                        2 => (uint)random.Next(1 << 20),
                        3 => 15,
                        _ => p == 0 ? 16u : (uint)(512 * random.Next(5)),
                    };
                    parts[p] = new RingDriver.Part(address, length, p > 0 && (random.Next(4) != 0 || parts[p - 1].IsWritable));
                }

                uint[] types = [0, 1, 4, 8, 11, 13, (uint)random.Next()];
                BitConverter.TryWriteBytes(all[(int)(parts[0].Address - RingDriver.Base)..], types[random.Next(types.Length)]);
                BitConverter.TryWriteBytes(
                    all[(int)(parts[0].Address - RingDriver.Base + 8)..],
                    random.Next(4) == 0 ? (ulong)random.NextInt64() : (ulong)random.Next(Sectors + 2));
                if (ring.Add(parts, false) == null)
                {
                    break;
                }
            }

            while (blk.TryTake(0, request))
            {
                requests++;
                blk.Complete(request, blk.Attempt(request));
                blk.Interrupt(0);
            }

            driver.Status = 0;
            Assert.Equal(0u, driver.Status);
            Assert.False(blk.HasTaken, run.Name(program));
        }

        output.WriteLine(run.Figure("virtio-blk", $"{requests} requests"));
        Assert.True(requests > 2 * (run.Next / 3), $"{requests} requests");
    }

    private (byte Status, uint Written) Do(
        VirtioBlk blk, BlkDriver driver, uint type, ulong sector, byte[] data, bool deviceWrites, int parts = 1, int queue = 0)
    {
        int id = driver.Submit(type, sector, data, deviceWrites, parts);
        var request = new VirtioBlkRequest();
        Assert.True(blk.TakeNotified(queue));
        Assert.True(blk.TryTake(queue, request));
        blk.Complete(request, blk.Attempt(request));
        (int Id, uint Written) back = driver.Ring.Take()!.Value;
        Assert.Equal(id, back.Id);
        return (driver.StatusByte, back.Written);
    }

    private VirtioBlk Make(
        string format, out VirtioMmio slot, out PhysicalAddressSpace ram, bool readOnly = false, int queues = 1)
    {
        string path = Path.Combine(_folder.FullName, $"{_disks.Count}.{format}");
        if (format == "qcow2")
        {
            BlockImage.CreateQcow2(path, new() { Size = Sectors * 512 });
        }
        else
        {
            File.WriteAllBytes(path, new byte[Sectors * 512]);
        }

        var disk = new BlockBackend("disk", readOnly, () => BlockImage.Open(path, format, !readOnly, new ImageOptions { Unmap = true }));
        disk.Open();
        _disks.Add(disk);
        ram = Ram;
        var config = new VirtioBlkConfig("", disk)
        {
            Serial = "serial number of this disk",
            Queues = queues,
            QueueSize = 128,
            Rings = VirtioFeatures.EventIndex | VirtioFeatures.IndirectDescriptors | VirtioFeatures.PackedRings,
        };
        var blk = (VirtioBlk)config.Make(ram);
        slot = new VirtioMmio(31, UnconnectedLine.New(), blk);
        return blk;
    }

    private sealed class CountingNode(BlockNode child) : FilterNode(child)
    {
        public int Flushes { get; private set; }

        public override string Driver => Child.Driver;

        public override Errno Flush()
        {
            Flushes++;
            return base.Flush();
        }
    }

    private sealed class Requests(Func<IReadOnlyList<VirtioBlkRequest>> save, Action<StateReader> load) : IStateUnit
    {
        public string Id => "requests";

        public void Save(StateWriter writer) => VirtioBlkRequest.Save(writer, save());

        public void Load(StateReader reader) => load(reader);
    }
}
