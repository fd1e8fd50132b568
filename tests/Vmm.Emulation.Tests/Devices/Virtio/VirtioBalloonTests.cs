using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Balloon;
using Vmm.Emulation.Memory;
using Vmm.Emulation.State;
using Vmm.Emulation.Tests.Jit;
using Vmm.Tests;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>A balloon, with the test as its driver and its backend.</summary>
public sealed class VirtioBalloonTests(ITestOutputHelper output) : VirtioDeviceTests
{
    [Theory]
    [MemberData(nameof(Rings))]
    public void Pages_that_are_given_up_read_as_zeros_and_others_stay(bool packed, bool indirect, bool eventIndex)
    {
        VirtioBalloon balloon = Make(Ram, out VirtioMmio slot);
        var driver = new BalloonDriver(balloon, slot, Ram, packed, indirect, eventIndex);
        balloon.Ask(5 << 12);
        Assert.Equal(5u, (uint)slot.Read(0x100, 4));
        Assert.Equal(2u, driver.Slot.Interrupts() & 2);
        for (uint page = 0x80; page < 0x100; page++)
        {
            Fill(page);
        }

        // Many more times than the ring has places.
        for (uint page = 0x80; page < 0x100; page += 2)
        {
            driver.Inflate(0x4_0000 + page);
        }

        for (uint page = 0x80; page < 0x100; page++)
        {
            Assert.Equal((page & 1) != 0, IsFilled(page));
        }

        // What is no RAM is passed over.
        driver.Inflate(0, 0x3_FFFF, 0x4_0100, uint.MaxValue, 0x4_0081);
        Assert.False(IsFilled(0x81));
        driver.Deflate(0x4_0080, 0x4_0082);
        slot.Write(0x104, 4, 3);
        Assert.Equal(3ul << 12, balloon.GivenUp);
        Assert.Null(balloon.Fault);
    }

    [Theory]
    [MemberData(nameof(Rings))]
    public void Pages_that_are_reported_free_go_back(bool packed, bool indirect, bool eventIndex)
    {
        VirtioBalloon balloon = Make(Ram, out VirtioMmio slot);
        var driver = new BalloonDriver(balloon, slot, Ram, packed, indirect, eventIndex);
        for (uint page = 0x80; page < 0x90; page++)
        {
            Fill(page);
        }

        driver.Report(new RingDriver.Part(RingDriver.Base + 0x8_0000, 0x2000, true), new(RingDriver.Base + 0x8_4000, 0x1000, true));
        bool[] present = Memory.PresentPages();
        Assert.Equal([false, false, true, true, false, true], present[0x80..0x86]);
        Assert.Equal(present[0x80..0x86], Enumerable.Range(0x80, 6).Select(page => IsFilled((uint)page)));
    }

    /// <summary>A page that is given up while RAM is copied is copied anew: it is zero at the other side, too.</summary>
    [Fact]
    public void Page_that_is_given_up_is_marked_as_written()
    {
        VirtioBalloon balloon = Make(Ram, out VirtioMmio slot);
        var driver = new BalloonDriver(balloon, slot, Ram, false, false, false);
        Fill(0x90);
        var log = new DirtyLog(Memory, () => { });
        log.Start();
        driver.Inflate(0x4_0090);
        int[] written = log.Harvest();
        log.Stop();
        Assert.Contains(0x90, written);
    }

    [Theory]
    [MemberData(nameof(Rings))]
    public void Statistics_are_told_when_they_are_asked_for(bool packed, bool indirect, bool eventIndex)
    {
        VirtioBalloon balloon = Make(Ram, out VirtioMmio slot);
        var driver = new BalloonDriver(balloon, slot, Ram, packed, indirect, eventIndex);
        Assert.All(balloon.LastStatistics, value => Assert.Equal(VirtioBalloon.NotTold, value));
        Assert.Equal(DateTimeOffset.UnixEpoch, balloon.ToldAt);
        balloon.AskForStatistics();
        driver.TellStatistics([(4, 1000), (5, ulong.MaxValue - 1), (99, 3)], more: 9);
        balloon.Serve();
        Assert.Equal((1000ul, ulong.MaxValue - 1), (
            balloon.LastStatistics[(int)BalloonStatistic.FreeMemory], balloon.LastStatistics[(int)BalloonStatistic.TotalMemory]));
        Assert.Equal(2, balloon.LastStatistics.Count(value => value != VirtioBalloon.NotTold));
        Assert.True(balloon.ToldAt > DateTimeOffset.UnixEpoch);

        // The buffer is the device's until statistics are wanted again, also in another process.
        Assert.False(driver.IsDone(2));
        SavedUnit saved = SavedUnit.Of(balloon);
        VirtioBalloon loaded = Make(Ram, out _);
        saved.LoadInto(loaded);
        loaded.Serve();
        Assert.False(driver.IsDone(2));
        loaded.AskForStatistics();
        Assert.True(driver.IsDone(2));
        loaded.AskForStatistics();
        Assert.False(driver.IsDone(2));
    }

    [Fact]
    public void Fuzz_hostile_driver_of_a_balloon()
    {
        var run = new FuzzRun(programs: 100);
        foreach (int program in run.Programs())
        {
            var random = new Random(run.SeedOf(program));
            Assert.True(Ram.TryZero(RingDriver.Base, RingDriver.RamSize));
            VirtioBalloon balloon = Make(Ram, out VirtioMmio slot);
            var driver = new BalloonDriver(balloon, slot, Ram, random.Next(2) == 0, random.Next(2) == 0, random.Next(2) == 0);
            for (int i = 0; i < 200; i++)
            {
                switch (random.Next(6))
                {
                    case 5:
                        balloon.AskForStatistics();
                        break;
                    case 0:
                        driver.Inflate([.. Enumerable.Range(0, random.Next(1, 300)).Select(_ => (uint)random.NextInt64(uint.MaxValue))]);
                        break;
                    case 1:
                        driver.Deflate((uint)random.Next());
                        break;
                    case 2:
                        driver.Report(new RingDriver.Part(
                            RingDriver.Base + 0x8_0000 + (ulong)random.Next(0x1_0000), (uint)random.Next(1, 0x1_0000), true));
                        break;
                    case 3:
                        slot.Write(0x100 + (ulong)random.Next(16), 1 << random.Next(3), (ulong)random.Next());
                        break;
                    default:
                        balloon.Ask((ulong)random.NextInt64(1L << 40));
                        break;
                }
            }

            byte[] garbage = new byte[0x3000];
            random.NextBytes(garbage);
            Assert.True(Ram.TryWrite(RingDriver.Base + 0x1000, garbage));
            balloon.NotifyQueue((uint)random.Next(4));
            balloon.Serve();
            slot.Write(0x70, 4, 0);
            balloon.Serve();
            Assert.Equal(0u, slot.Read(0x70, 4));
            Assert.False(balloon.HasTaken);
        }

        output.WriteLine(run.Figure("balloon", "200 steps each"));
    }

    internal static VirtioBalloon Make(IDmaMemory ram, out VirtioMmio slot)
    {
        var balloon = new VirtioBalloon(ram, new VirtioBalloonConfig("")
        {
            DeflateOnOutOfMemory = true,
            FreePageReporting = true,
            Rings = VirtioFeatures.EventIndex | VirtioFeatures.IndirectDescriptors | VirtioFeatures.PackedRings,
        });
        slot = new VirtioMmio(31, UnconnectedLine.New(), balloon);
        return balloon;
    }

    private void Fill(uint page) =>
        Assert.True(Ram.TryWrite(RingDriver.Base + ((ulong)page << 12), [.. Enumerable.Repeat((byte)1, 4096)]));

    private bool IsFilled(uint page)
    {
        byte[] bytes = new byte[4096];
        Assert.True(Ram.TryRead(RingDriver.Base + ((ulong)page << 12), bytes));
        return Array.TrueForAll(bytes, b => b == 1) || !Array.TrueForAll(bytes, b => b == 0);
    }
}

/// <summary>What every device core must do, of a balloon behind its slot.</summary>
public sealed class VirtioBalloonFixtureTests : VirtioDeviceFixture
{
    internal override Subject Create()
    {
        VirtioBalloon balloon = VirtioBalloonTests.Make(Ram, out VirtioMmio slot);
        return new Subject(balloon, [slot], [0x200], slot.Reset, balloon);
    }

    internal override void Disturb(Subject subject)
    {
        var balloon = (VirtioBalloon)subject.Device;
        var driver = new BalloonDriver(balloon, subject.Frames[0], Ram, false, true, true);
        driver.Inflate(0x4_0080);
        subject.Frames[0].Write(0x104, 4, 9);
        driver.Slot.Interrupts();
    }
}
