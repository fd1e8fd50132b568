using System.Buffers.Binary;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Tests.Jit;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>Split and packed rings against a driver of the test's own, and hostile ones.</summary>
public sealed class VirtqueueTests(ITestOutputHelper output) : IDisposable
{
    private readonly GuestMemory _memory = new(new GuestPhysicalAddress(RingDriver.Base), RingDriver.RamSize);

    public void Dispose() => _memory.Dispose();

    /// <summary>Either ring, with each feature off and on, and sizes at the ends of what is valid.</summary>
    public static TheoryData<bool, int, bool, bool> Rings()
    {
        var all = new TheoryData<bool, int, bool, bool>();
        foreach (bool packed in new[] { false, true })
        {
            foreach (int size in new[] { 1, 2, 8, 256 }.Concat(packed ? [3, 7] : Array.Empty<int>()))
            {
                for (int features = 0; features < 4; features++)
                {
                    all.Add(packed, size, (features & 1) != 0, (features & 2) != 0);
                }
            }
        }

        return all;
    }

    [Theory]
    [MemberData(nameof(Rings))]
    public void Chains_arrive_as_they_were_made_and_come_back_in_any_order(bool packed, int size, bool indirect, bool eventIndex)
    {
        PhysicalAddressSpace ram = Ram();
        var features = new VirtqueueFeatures(indirect, eventIndex);
        RingDriver driver = RingDriver.Create(ram, packed, size, features);
        Virtqueue queue = Virtqueue.Create(ram, packed, driver.Layout, features);
        var random = new Random(size);
        var made = new Dictionary<int, RingDriver.Part[]>();
        var expected = new Dictionary<int, uint>();
        var order = new Queue<int>();
        var taken = new List<(int Id, DescriptorChain Chain)>();
        var free = new Stack<DescriptorChain>();
        int done = 0;

        // Indices of a split ring begin anew after 2^16.
        int wanted = size == 8 ? 70_000 : 4000;
        for (int step = 0; done < wanted && step < 10 * wanted; step++)
        {
            switch (random.Next(3))
            {
                case 0:
                    RingDriver.Part[] parts = Parts(random, indirect ? 20 : Math.Min(size, 6));
                    if (driver.Add(parts, indirect && random.Next(2) == 0 || parts.Length > size) is { } id)
                    {
                        made[id] = parts;
                        order.Enqueue(id);
                    }

                    break;
                case 1:
                    DescriptorChain chain = free.TryPop(out DescriptorChain? old) ? old : new DescriptorChain();
                    Assert.Equal(order.Count > 0, queue.TryPop(chain));
                    if (order.TryDequeue(out int next))
                    {
                        Equal(made[next], chain);
                        taken.Add((next, chain));
                    }
                    else
                    {
                        free.Push(chain);
                    }

                    break;
                default:
                    if (taken.Count > 0)
                    {
                        int at = random.Next(taken.Count);
                        uint written = (uint)random.Next(2) * (uint)Math.Min(taken[at].Chain.WritableLength, 1000);
                        queue.Push(taken[at].Chain, written);
                        expected[taken[at].Id] = written;
                        free.Push(taken[at].Chain);
                        taken.RemoveAt(at);
                    }

                    while (driver.Take() is { } back)
                    {
                        Assert.True(expected.Remove(back.Id, out uint bytes));
                        Assert.Equal(bytes, back.Written);
                        done++;
                    }

                    break;
            }

            if (step % 1000 == 0)
            {
                // Saved and restored, the device goes on where it was.
                VirtqueuePosition position = queue.Position;
                queue = Virtqueue.Create(ram, packed, driver.Layout, features);
                queue.Position = position;
            }
        }

        Assert.Null(queue.Fault);
        Assert.True(done >= wanted, $"{done} chains");
    }

    [Theory]
    [MemberData(nameof(Rings))]
    public void Neither_side_sleeps_over_work_and_no_one_is_woken_who_does_not_want_it(
        bool packed, int size, bool indirect, bool eventIndex)
    {
        PhysicalAddressSpace ram = Ram();
        var features = new VirtqueueFeatures(indirect, eventIndex);
        RingDriver driver = RingDriver.Create(ram, packed, size, features);
        Virtqueue queue = Virtqueue.Create(ram, packed, driver.Layout, features);
        var random = new Random(size);
        RingDriver.Part[] one = [new(RingDriver.Base + 0x8_0000, 16, true)];
        var chain = new DescriptorChain();
        for (int round = 0; round < 500; round++)
        {
            // The device waits; the first chain notifies it, and those behind it need not.
            Assert.False(queue.AllowNotifications());
            int batch = 1 + random.Next(size);
            Assert.NotNull(driver.Add(one, indirect));
            Assert.True(driver.MustNotify(), $"round {round}");
            queue.SuppressNotifications();
            for (int i = 1; i < batch; i++)
            {
                Assert.NotNull(driver.Add(one, indirect));
                Assert.False(driver.MustNotify(), $"round {round}");
            }

            // What comes while it works is found when it is about to wait.
            Assert.True(queue.TryPop(chain));
            Assert.Equal(batch > 1, queue.AllowNotifications());
            bool asked = random.Next(2) == 0;
            if (asked)
            {
                driver.AllowInterrupts();
            }
            else
            {
                driver.SuppressInterrupts();
            }

            queue.Push(chain, 16);
            Assert.Equal(asked, queue.TakeNotification());
            Assert.False(queue.TakeNotification());
            driver.SuppressInterrupts();
            while (queue.TryPop(chain))
            {
                queue.Push(chain, 1);
            }

            Assert.False(queue.TakeNotification());
            while (driver.Take() != null)
            {
                batch--;
            }

            Assert.Equal(0, batch);
            _ = driver.MustNotify();
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Feature_that_was_not_negotiated_is_a_fault(bool packed)
    {
        PhysicalAddressSpace ram = Ram();
        RingDriver driver = RingDriver.Create(ram, packed, 8, new VirtqueueFeatures(true, false));
        Virtqueue queue = Virtqueue.Create(ram, packed, driver.Layout, default);
        driver.Add([new(RingDriver.Base + 0x8_0000, 16, true)], true);
        Assert.False(queue.TryPop(new DescriptorChain()));
        Assert.Equal("an indirect descriptor, which was not negotiated", queue.Fault);
        Assert.False(queue.TryPop(new DescriptorChain()));
        Assert.False(queue.AllowNotifications());
    }

    [Theory]
    [InlineData(false, 1, RingDriver.Base - 8, 64u, "is no RAM")]
    [InlineData(true, 1, RingDriver.Base + RingDriver.RamSize - 8, 64u, "is no RAM")]
    [InlineData(false, 1, ulong.MaxValue - 8, 64u, "is no RAM")]
    [InlineData(true, 1, RingDriver.Base, uint.MaxValue, "is no RAM")]
    public void Buffer_outside_RAM_is_a_fault(bool packed, int buffers, ulong address, uint length, string why)
    {
        PhysicalAddressSpace ram = Ram();
        RingDriver driver = RingDriver.Create(ram, packed, 8, default);
        Virtqueue queue = Virtqueue.Create(ram, packed, driver.Layout, default);
        driver.Add([.. Enumerable.Repeat(new RingDriver.Part(address, length, true), buffers)], false);
        Assert.False(queue.TryPop(new DescriptorChain()));
        Assert.Contains(why, queue.Fault, StringComparison.Ordinal);
    }

    [Fact]
    public void Loops_and_order_are_looked_at()
    {
        foreach ((bool packed, Action<ulong> spoil, string why) in new (bool, Action<ulong>, string)[]
        {
            // The first descriptor, number 3, is its own next one; the next one outside the table; write before read.
            (false, at => Put(at + 12, 1 | (3 << 16)), "a loop in a chain of 4 descriptors"),
            (false, at => Put(at + 12, 1 | (9 << 16)), "descriptor 9 in a table of 4"),
            (false, at => Put(at + 12, 3 | (1 << 16)), "a buffer to read behind one to write"),
            (true, at => Put(at + 12, (0x80 | 3) << 16), "a buffer to read behind one to write"),
            (true, at => Put(at + 12, (0x80 | 5) << 16), "an indirect descriptor with a next one"),
            (false, at => Put(at + 8, 24 | (4ul << 32)), "a table of indirect descriptors of 24 bytes"),
            (false, at => Put(at + 8, 0 | (4ul << 32)), "a table of indirect descriptors of 0 bytes"),
        })
        {
            _memory.Span(new GuestPhysicalAddress(RingDriver.Base), (int)RingDriver.RamSize).Clear();
            PhysicalAddressSpace ram = Ram();
            var features = new VirtqueueFeatures(true, false);
            RingDriver driver = RingDriver.Create(ram, packed, 4, features);
            Virtqueue queue = Virtqueue.Create(ram, packed, driver.Layout, features);
            var part = new RingDriver.Part(RingDriver.Base + 0x8_0000, 16, false);
            int head = driver.Add([part, part], false)!.Value;
            spoil(driver.Layout.Descriptors + (packed ? 0 : (ulong)head * 16));
            Assert.False(queue.TryPop(new DescriptorChain()));
            Assert.StartsWith(why, queue.Fault, StringComparison.Ordinal);
        }

        void Put(ulong at, ulong value)
        {
            Span<byte> bytes = _memory.Span(new GuestPhysicalAddress(at), 8);
            ulong mask = value > uint.MaxValue ? ulong.MaxValue : uint.MaxValue;
            ulong was = BinaryPrimitives.ReadUInt64LittleEndian(bytes);
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, (was & ~mask) | value);
        }
    }

    [Theory]
    [InlineData(false, 3, 0x1000, 0x2000, 0x3000, "a split ring of 3 descriptors")]
    [InlineData(false, 0, 0x1000, 0x2000, 0x3000, "a split ring of 0 descriptors")]
    [InlineData(false, 8, 0x1008, 0x2000, 0x3000, "the descriptor table")]
    [InlineData(false, 8, 0x1000, 0x2001, 0x3000, "the available ring")]
    [InlineData(false, 8, 0x1000, 0x2000, 0x3002, "the used ring")]
    [InlineData(true, 65536, 0x1000, 0x2000, 0x3000, "a packed ring of 65536 descriptors")]
    [InlineData(true, 8, 0x10_0000, 0x2000, 0x3000, "the descriptor ring")]
    [InlineData(true, 8, 0x1000, 0x2002, 0x3000, "the driver's event suppression")]
    public void Ring_that_cannot_be_is_a_fault(bool packed, int size, ulong descriptors, ulong driver, ulong device, string why)
    {
        var layout = new VirtqueueLayout(size, RingDriver.Base + descriptors, RingDriver.Base + driver, RingDriver.Base + device);
        Virtqueue queue = Virtqueue.Create(Ram(), packed, layout, default);
        Assert.StartsWith(why, queue.Fault, StringComparison.Ordinal);
        Assert.False(queue.TryPop(new DescriptorChain()));
        queue.Push(new DescriptorChain(), 0);
        queue.SuppressNotifications();
        Assert.False(queue.TakeNotification());
    }

    /// <summary>Any bytes in the rings and tables: the queue ends, and hands out nothing but RAM.</summary>
    [Fact]
    public void Fuzzed_rings_end_and_name_nothing_but_RAM()
    {
        var run = new FuzzRun(20_000);
        PhysicalAddressSpace ram = Ram();
        var chain = new DescriptorChain();
        Span<byte> all = _memory.Span(new GuestPhysicalAddress(RingDriver.Base), (int)RingDriver.RamSize);
        int chains = 0;
        int faults = 0;
        foreach (int program in run.Programs())
        {
            var random = new Random(run.SeedOf(program));
            bool packed = random.Next(2) == 0;
            int size = packed ? 1 + random.Next(20) : 1 << random.Next(5);
            var layout = new VirtqueueLayout(size, RingDriver.Base, RingDriver.Base + 0x400, RingDriver.Base + 0x600);
            Hostile(all[..0x800], random, packed, size);
            Virtqueue queue = Virtqueue.Create(ram, packed, layout, new VirtqueueFeatures(random.Next(4) != 0, random.Next(2) == 0));
            for (int i = 0; i < 64 && queue.TryPop(chain); i++)
            {
                chains++;
                foreach (DescriptorChain.Buffer buffer in chain.Readable)
                {
                    Assert.True(buffer.Length == 0 || ram.IsRam(buffer.Address, buffer.Length), run.Name(program));
                }

                foreach (DescriptorChain.Buffer buffer in chain.Writable)
                {
                    Assert.True(buffer.Length == 0 || ram.IsRam(buffer.Address, buffer.Length), run.Name(program));
                }

                queue.Push(chain, (uint)random.Next());
                _ = queue.TakeNotification();
                _ = queue.AllowNotifications();
            }

            faults += queue.Fault == null ? 0 : 1;
        }

        output.WriteLine(run.Figure("virtqueue", $"{chains} chains, {faults} faults"));
        Assert.True(chains > 1000 && faults > 1000, $"{chains} chains, {faults} faults");
    }

    // Rings that are nearly right: addresses and lengths in and just outside RAM, all flags, indices near the size.
    private static void Hostile(Span<byte> area, Random random, bool packed, int size)
    {
        random.NextBytes(area);
        for (int at = 0; at < 0x400; at += 16)
        {
            Span<byte> descriptor = area.Slice(at, 16);
            ulong address = random.Next(8) switch
            {
                0 => (ulong)random.NextInt64(),
                1 => RingDriver.Base + RingDriver.RamSize - (ulong)random.Next(64),
                < 5 => RingDriver.Base + ((ulong)random.Next(0x40) * 16),
                _ => RingDriver.Base + (ulong)random.Next((int)RingDriver.RamSize),
            };
            uint length = random.Next(6) switch
            {
                0 => (uint)random.Next(),
                1 => 0,
                < 4 => 16u * (uint)random.Next(1, 8),
                _ => (uint)random.Next(100),
            };
            BinaryPrimitives.WriteUInt64LittleEndian(descriptor, address);
            BinaryPrimitives.WriteUInt32LittleEndian(descriptor[8..], length);
            int flags = random.Next(8) & random.Next(8);
            int index = random.Next(size + (random.Next(8) == 0 ? 2 : 0));
            ushort third = (ushort)(packed ? index : flags);
            ushort fourth = (ushort)(packed ? flags | (random.Next(6) == 0 ? 0x8000 : 0x80) : index);
            BinaryPrimitives.WriteUInt16LittleEndian(descriptor[12..], third);
            BinaryPrimitives.WriteUInt16LittleEndian(descriptor[14..], fourth);
        }

        if (!packed && random.Next(8) != 0)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(area[0x402..], (ushort)random.Next(size + 1));
            for (int i = 0; i < size; i++)
            {
                BinaryPrimitives.WriteUInt16LittleEndian(area[(0x404 + (i * 2))..], (ushort)random.Next(size));
            }
        }
    }

    private static RingDriver.Part[] Parts(Random random, int most)
    {
        int count = 1 + random.Next(most);
        int readable = random.Next(count + 1);
        return [.. Enumerable.Range(0, count).Select(i => new RingDriver.Part(
            RingDriver.Base + 0x8_0000 + (ulong)random.Next(0x4_0000), (uint)random.Next(0x1_0000), i >= readable))];
    }

    private static void Equal(RingDriver.Part[] parts, DescriptorChain chain)
    {
        IEnumerable<DescriptorChain.Buffer> Of(bool isWritable) =>
            parts.Where(p => p.IsWritable == isWritable).Select(p => new DescriptorChain.Buffer(p.Address, p.Length));
        Assert.Equal(Of(false), chain.Readable.ToArray());
        Assert.Equal(Of(true), chain.Writable.ToArray());
        Assert.Equal(parts.Sum(p => p.IsWritable ? 0 : (long)p.Length), (long)chain.ReadableLength);
        Assert.Equal(parts.Sum(p => p.IsWritable ? p.Length : 0L), (long)chain.WritableLength);
    }

    private PhysicalAddressSpace Ram()
    {
        var ram = new PhysicalAddressSpace();
        ram.AddMemory(_memory);
        return ram;
    }
}
