using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Devices.CfiFlash;
using Vmm.Emulation.Memory;
using Vmm.Emulation.State;
using Vmm.Emulation.Tests.Jit;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Devices;

/// <summary>
/// Random commands, at random places and of any size, most of them such as make sense. Whatever comes: bits of the array are only cleared,
/// or a sector is erased, and only where the access was; what is read-only stays; the file has what the guest has seen completed; a reset
/// makes a working bank.
/// </summary>
public sealed class CfiFlashFuzzTests(ITestOutputHelper output)
{
    private const int Sector = 256 << 10;
    private const int Size = 2 * Sector;
    private const int Buffer = 4096;
    private const int Steps = 300;
    private static readonly byte[] s_commands = [0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x90, 0x98, 0xE8, 0xFF, 0xD0, 0x01, 0x2F];

    [Fact]
    public void Fuzz_flash_changes_only_as_flash_can_and_loses_nothing()
    {
        var run = new FuzzRun(2);
        long changes = 0;
        foreach (int program in run.Programs())
        {
            changes += Run(new Random(run.SeedOf(program)), run.Name(program));
        }

        output.WriteLine(run.Figure("flash", $"{changes} changes of the array"));
    }

    private static long Run(Random random, string name)
    {
        bool readOnly = random.Next(6) == 0;
        bool keeps = !readOnly && random.Next(2) == 0;
        using var memory = new GuestMemory(new GuestPhysicalAddress(0x0400_0000), Size, readOnly: true);
        var flash = new CfiFlash("flash", memory, readOnly, keeps ? new SafeFileHandle() : null);
        memory.Span(memory.Start, Size).Fill(0xFF);
        flash.Reset();
        byte[] before = memory.Span(memory.Start, Size).ToArray();
        byte[] file = [.. before];
        byte[] bytes = new byte[8];
        long changes = 0;
        foreach ((int offset, int size, ulong value) in Accesses(random))
        {
            flash.Write((ulong)offset, size, value);
            ReadOnlySpan<byte> array = memory.Span(memory.Start, Size);
            if (!array.SequenceEqual(before))
            {
                Assert.False(readOnly, $"{name}: a read-only bank changed");
                AssertPossible(before, array, offset, name);
                array.CopyTo(before);
                changes++;
                Assert.True(!keeps || flash.TryGetWriteBack(out _, out _), $"{name}: nobody is told of a change");
            }

            int readSize = 1 << random.Next(4);
            int at = random.Next(Size - 8) & -readSize;
            ulong seen = flash.Read((ulong)at, readSize);
            Assert.True(readSize == 8 || seen >> (readSize * 8) == 0, name);
            if (memory.IsDirect)
            {
                array.Slice(at, readSize).CopyTo(bytes);
                bytes.AsSpan(readSize).Clear();
                Assert.True(seen == BitConverter.ToUInt64(bytes), $"{name}: array mode reads something else");
            }

            if (keeps && random.Next(3) == 0)
            {
                WriteBack(flash, file);
            }
        }

        if (keeps)
        {
            WriteBack(flash, file);
            Assert.True(file.AsSpan().SequenceEqual(before), $"{name}: the file lacks something");
        }

        AssertRoundTrip(flash, keeps, name);
        flash.Reset();
        Assert.True(memory.IsDirect, name);
        flash.Write(0, 4, 0x0020_0020);
        flash.Write(0, 4, 0x00D0_00D0);
        flash.CompleteWriteBack(true);
        flash.Write(0x100, 4, 0x0040_0040);
        flash.Write(0x100, 4, 0x1234_5678);
        flash.CompleteWriteBack(true);
        Assert.True(flash.Read(0, 4) == (readOnly ? 0x00B2_00B2ul : 0x0080_0080ul),
            $"{name}: after a reset the status is {flash.Read(0, 4):x}");
        flash.Write(0, 4, 0x00FF_00FF);
        Assert.True(flash.Read(0x100, 4) == (readOnly ? 0xFFFF_FFFFul : 0x1234_5678ul) || readOnly, name);
        return changes;
    }

    // Noise, and sequences of the command set with noise in them.
    private static IEnumerable<(int Offset, int Size, ulong Value)> Accesses(Random random)
    {
        for (int step = 0; step < Steps; step++)
        {
            int offset = random.Next(Size - 8) & (random.Next(8) == 0 ? -1 : -4);
            int size = random.Next(4) == 0 ? 1 << random.Next(4) : 4;
            ulong Dual(int value) => (ulong)value * 0x1_0001;
            ulong command = s_commands[random.Next(s_commands.Length)];
            switch (random.Next(8))
            {
                case 0:
                    yield return (offset, size, (ulong)random.NextInt64(long.MinValue, long.MaxValue));
                    break;
                case 1:
                    yield return (offset, 4, Dual(0x20));
                    yield return (offset, 4, random.Next(4) == 0 ? command : Dual(0xD0));
                    break;
                case 2:
                    yield return (offset, 4, Dual(0x40));
                    yield return (offset, size, (ulong)random.NextInt64());
                    break;
                case 3:
                    yield return (offset, 4, Dual(0x60));
                    yield return (offset, 4, Dual(random.Next(5) == 0 ? 0x01 : 0xD0));
                    break;
                case 4:
                    int count = random.Next(10) == 0 ? random.Next(1 << 16) : random.Next(40);
                    yield return (offset, 4, Dual(0xE8));
                    yield return (offset, 4, Dual(count));
                    for (int i = 0; i <= Math.Min(count, 50); i++)
                    {
                        yield return (Math.Min(offset + (i * 4), Size - 8), random.Next(20) == 0 ? size : 4, (ulong)random.NextInt64());
                    }

                    yield return (offset, 4, Dual(0xD0));
                    break;
                default:
                    yield return (offset, size, command | (command << 16));
                    break;
            }
        }
    }

    // One access may program a buffer, or erase the sector that it is in, or, if it is of eight bytes, do so twice.
    private static void AssertPossible(ReadOnlySpan<byte> before, ReadOnlySpan<byte> after, int offset, string name)
    {
        for (int sector = 0; sector < Size / Sector; sector++)
        {
            ReadOnlySpan<byte> old = before.Slice(sector * Sector, Sector);
            ReadOnlySpan<byte> now = after.Slice(sector * Sector, Sector);
            if (old.SequenceEqual(now))
            {
                continue;
            }

            if (!now.ContainsAnyExcept((byte)0xFF))
            {
                Assert.True(sector == offset / Sector || sector == (offset + 7) / Sector,
                    $"{name}: sector {sector} is erased by a write at {offset:x}");
                continue;
            }

            int first = old.CommonPrefixLength(now);
            int last = Sector - 1;
            while (old[last] == now[last])
            {
                last--;
            }

            Assert.True(last / Buffer == first / Buffer || last - first < 8,
                $"{name}: {first:x} to {last:x} of sector {sector} changed at once");
            for (int i = first; i <= last; i++)
            {
                Assert.True((now[i] & ~old[i]) == 0, $"{name}: a bit was set at {i:x} of sector {sector}");
            }
        }
    }

    private static void WriteBack(CfiFlash flash, byte[] file)
    {
        if (flash.TryGetWriteBack(out int start, out int length))
        {
            flash.CopyContents(start, file.AsSpan(start, length));
            flash.CompleteWriteBack(written: true);
        }
    }

    private static void AssertRoundTrip(CfiFlash flash, bool keeps, string name)
    {
        using var memory = new GuestMemory(new GuestPhysicalAddress(0x0400_0000), Size, readOnly: true);
        var other = new CfiFlash("flash", memory, readOnly: false, keeps ? new SafeFileHandle() : null);
        using var saved = new MemoryStream();
        Archive.Save(saved, [flash]);
        saved.Position = 0;
        Archive.Load(saved, [other]);
        using var again = new MemoryStream();
        Archive.Save(again, [other]);
        Assert.True(saved.ToArray().AsSpan().SequenceEqual(again.ToArray()), $"{name}: saved, loaded and saved, it differs");
    }
}
