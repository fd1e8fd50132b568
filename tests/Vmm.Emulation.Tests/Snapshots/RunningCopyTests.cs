using Vmm.Emulation.Memory;
using Vmm.Emulation.Snapshots;

namespace Vmm.Emulation.Tests.Snapshots;

/// <summary>RAM that is written while it is saved.</summary>
public sealed class RunningCopyTests : SnapshotFixture
{
    private const int Pages = (int)(MemoryBytes / GuestMemory.PageSize);

    private void RequireHolds(string tag, GuestMemory ram)
    {
        using Snapshot snapshot = Store.Open(tag);
        snapshot.Verify();
        GuestMemory loaded = Ram(99);
        snapshot.LoadRam(loaded);
        Assert.Equal(BytesOf(ram), BytesOf(loaded));
    }

    // As a device does: it writes, and marks.
    private static void Write(DirtyLog log, GuestMemory ram, int page, ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(ram.Span(ram.Start + ((ulong)page * GuestMemory.PageSize), bytes.Length));
        log.Mark((ulong)page);
    }

    [Theory]
    [InlineData(RamCompression.None)]
    [InlineData(RamCompression.Zstd)]
    public void What_is_written_between_the_copies_is_saved_and_what_becomes_zero_takes_no_place_of_its_own(RamCompression compression)
    {
        GuestMemory ram = Ram(1);
        var log = new DirtyLog(ram, () => { });
        var random = new Random(7);
        byte[] noise = new byte[GuestMemory.PageSize];
        random.NextBytes(noise);
        using (SnapshotSave save = Store.Save("one", replace: true))
        {
            var copy = new RunningCopy(save, ram, log, compression);
            copy.CopyWhileRunning();

            // A page of the block of zeros, one of a full block, one whose block gets zeros alone, and all of a block.
            Write(log, ram, 3, noise);
            Write(log, ram, 40, noise);
            Write(log, ram, 21, new byte[GuestMemory.PageSize]);
            for (int page = 48; page < Pages; page++)
            {
                Write(log, ram, page, new byte[GuestMemory.PageSize]);
            }

            copy.CopyRest();
            save.WriteState(Units(1));
            save.Commit("test", DateTimeOffset.UnixEpoch, 12345, Machine, Cpus);
        }

        RequireHolds("one", ram);

        // A save of the same RAM as a whole takes as much, but for pages that were written as zeros over others.
        Save("two", 1, ram, compression);
        long[] stored = [.. Store.List().Select(e => e.Manifest!.Ram.Stored)];
        int left = compression == RamCompression.None ? RamImage.BlockSize + GuestMemory.PageSize : 0;
        Assert.InRange(stored[0], stored[1], stored[1] + left);
    }

    [Theory]
    [InlineData(RamCompression.None)]
    [InlineData(RamCompression.Zstd)]
    public void Copy_is_whole_whatever_a_guest_writes_meanwhile(RamCompression compression)
    {
        GuestMemory ram = Ram(1);
        var log = new DirtyLog(ram, () => { });
        using SnapshotSave save = Store.Save("one", replace: true);
        var copy = new RunningCopy(save, ram, log, compression);
        bool held = false;
        var guest = new Thread(() =>
        {
            var random = new Random(3);
            byte[] bytes = new byte[GuestMemory.PageSize];
            while (!Volatile.Read(ref held))
            {
                if (random.Next(4) == 0)
                {
                    Array.Clear(bytes);
                }
                else
                {
                    random.NextBytes(bytes);
                }

                Write(log, ram, random.Next(Pages), bytes);
            }
        });
        guest.Start();
        for (int i = 0; i < 20; i++)
        {
            copy.CopyWhileRunning();
        }

        Volatile.Write(ref held, true);
        guest.Join();
        copy.CopyRest();
        save.WriteState(Units(1));
        save.Commit("test", DateTimeOffset.UnixEpoch, 12345, Machine, Cpus);
        RequireHolds("one", ram);
    }

    /// <summary>A guest that writes on is held in the end, and one that writes nothing is held at once.</summary>
    [Fact]
    public void Guest_that_writes_faster_than_the_disk_is_not_waited_for()
    {
        GuestMemory ram = Ram(1);
        using SnapshotSave save = Store.Save("one", replace: true);
        int harvests = 0;
        DirtyLog? log = null;
        log = new DirtyLog(ram, () =>
        {
            // Whenever marks are taken, all of RAM is written at once.
            harvests++;
            for (int page = 0; page < Pages; page++)
            {
                log!.Mark((ulong)page);
            }
        });
        var copy = new RunningCopy(save, ram, log, RamCompression.None);
        copy.CopyWhileRunning();
        Assert.InRange(harvests, 2, 5);
        copy.CopyRest();
        save.WriteState(Units(1));
        save.Commit("test", DateTimeOffset.UnixEpoch, 12345, Machine, Cpus);
        RequireHolds("one", ram);
    }
}
