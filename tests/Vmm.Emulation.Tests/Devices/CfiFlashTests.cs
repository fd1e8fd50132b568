using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Devices.CfiFlash;
using Vmm.Emulation.Memory;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Tests.Devices;

public sealed class CfiFlashTests : DeviceFixture, IDisposable
{
    private const int Sector = 256 << 10;
    private const int Size = 4 * Sector;
    private const uint Ready = 0x0080_0080;
    private const uint ProgramError = 0x0012_0012;
    private const uint EraseError = 0x0022_0022;
    private const uint SequenceError = 0x0030_0030;

    private readonly List<GuestMemory> _memories = [];

    public void Dispose() => _memories.ForEach(m => m.Dispose());

    internal override Subject Create()
    {
        (CfiFlash flash, _) = Bank();
        return new Subject(flash, [flash], [0x1000], flash.Reset, flash);
    }

    internal override void Disturb(Subject subject)
    {
        subject.Frames[0].Write(0, 4, 0x0060_0060);
        subject.Frames[0].Write(0, 4, 0x0001_0001);
        subject.Frames[0].Write(0, 4, 0x0090_0090);
    }

    [Fact]
    public void Flash_query_is_of_two_16_bit_chips_with_blocks_of_128_KiB()
    {
        (CfiFlash flash, _) = Bank();
        flash.Write(0x55 * 4, 4, 0x0098_0098);
        byte At(int word) => (byte)flash.Read((ulong)word * 4, 4);
        Assert.Equal("QRY"u8.ToArray(), new[] { At(0x10), At(0x11), At(0x12) });
        Assert.Equal(1, At(0x13));
        Assert.Equal(Size / 2, 1 << At(0x27));
        Assert.Equal(Size / Sector, (At(0x2D) | (At(0x2E) << 8)) + 1);
        Assert.Equal(Sector / 2, (At(0x2F) | (At(0x30) << 8)) * 256);
        Assert.Equal("PRI"u8.ToArray(), new[] { At(At(0x15)), At(At(0x15) + 1), At(At(0x15) + 2) });

        // Both chips answer; what is beyond the structure is 0.
        Assert.Equal(0x0051_0051ul, flash.Read(0x10 * 4, 4));
        Assert.Equal(0x51ul, flash.Read(0x10 * 4, 1));
        Assert.Equal(0x51ul, flash.Read((0x10 * 4) + 2, 2));
        Assert.Equal(0ul, flash.Read(0x800, 4));
    }

    [Fact]
    public void Flash_identifies_itself_and_its_locked_blocks()
    {
        (CfiFlash flash, _) = Bank();
        flash.Write(Sector, 4, 0x0060_0060);
        flash.Write(Sector, 4, 0x0001_0001);
        flash.Write(0, 4, 0x0090_0090);
        Assert.Equal(0x0089_0089ul, flash.Read(0, 4));
        Assert.Equal(0x0018_0018ul, flash.Read(4, 4));
        Assert.Equal(0ul, flash.Read(8, 4));
        Assert.Equal(0x0001_0001ul, flash.Read(Sector + 8, 4));
    }

    [Fact]
    public void Flash_programming_clears_bits_and_erasing_sets_those_of_one_sector()
    {
        (CfiFlash flash, GuestMemory memory) = Bank(fill: 0xFF);
        Program(flash, 0x1000, 0x1234_5678);
        Assert.Equal(Ready, Status(flash));
        Program(flash, 0x1000, 0xFFFF_00FF);
        flash.Write(0, 4, 0x00FF_00FF);
        Assert.Equal(0x1234_0078ul, flash.Read(0x1000, 4));
        Assert.True(memory.IsDirect);

        Program(flash, Sector, 0);
        Erase(flash, 0x4000);
        Assert.Equal(Ready, Status(flash));
        flash.Write(0, 4, 0x00FF_00FF);
        Assert.Equal(0xFFFF_FFFFul, flash.Read(0x1000, 4));
        Assert.Equal(0ul, flash.Read(Sector, 4));
    }

    [Fact]
    public void Flash_buffered_programming_takes_effect_when_it_is_confirmed()
    {
        (CfiFlash flash, GuestMemory memory) = Bank(fill: 0xFF);
        flash.Write(0x2000, 4, 0x00E8_00E8);
        Assert.Equal(Ready, flash.Read(0x2000, 4));
        flash.Write(0x2000, 4, 0x0001_0001);
        flash.Write(0x2000, 4, 0x0403_0201);
        flash.Write(0x2008, 4, 0x0807_0605);
        Assert.Equal(0xFF, memory.Span(memory.Start + 0x2000, 1)[0]);
        flash.Write(0x2000, 4, 0x00D0_00D0);
        Assert.Equal([1, 2, 3, 4, 0xFF, 0xFF, 0xFF, 0xFF, 5, 6, 7, 8, 0xFF], memory.Span(memory.Start + 0x2000, 13).ToArray());
        Assert.Equal(Ready, Status(flash));
    }

    [Theory]
    [InlineData(0x2000, 0x1000)] // another block
    [InlineData(0x2000, 0x3000)]
    public void Flash_buffered_programming_that_leaves_its_block_is_a_sequence_error(uint first, uint second)
    {
        (CfiFlash flash, GuestMemory memory) = Bank(fill: 0xFF);
        flash.Write(first, 4, 0x00E8_00E8);
        flash.Write(first, 4, 0x0001_0001);
        flash.Write(first, 4, 0);
        flash.Write(second, 4, 0);
        flash.Write(first, 4, 0x00D0_00D0);
        Assert.Equal(Ready | SequenceError, Status(flash));
        Assert.False(memory.Span(memory.Start, Size).ContainsAnyExcept((byte)0xFF));
        flash.Write(0, 4, 0x0050_0050);
        Assert.Equal(Ready, Status(flash));
    }

    [Fact]
    public void Flash_buffer_count_beyond_the_buffer_is_a_sequence_error()
    {
        (CfiFlash flash, _) = Bank();
        flash.Write(0, 4, 0x00E8_00E8);
        flash.Write(0, 4, 0x0400_0400);
        Assert.Equal(Ready | SequenceError, Status(flash));
    }

    [Fact]
    public void Flash_that_is_read_only_or_locked_reports_errors_and_changes_nothing()
    {
        (CfiFlash readOnly, GuestMemory memory) = Bank(fill: 0xFF, readOnly: true);
        Program(readOnly, 0, 0);
        Assert.Equal(Ready | ProgramError, Status(readOnly));
        readOnly.Write(0, 4, 0x0050_0050);
        memory.Span(memory.Start, 1)[0] = 7;
        Erase(readOnly, 0);
        Assert.Equal(Ready | EraseError, Status(readOnly));
        Assert.Equal(7, memory.Span(memory.Start, 1)[0]);

        (CfiFlash flash, memory) = Bank(fill: 0xFF);
        SetLock(flash, 0, 0x01);
        Program(flash, 0, 0);
        Assert.Equal(Ready | ProgramError, Status(flash));
        SetLock(flash, 0, 0xD0);
        Program(flash, 0, 0x1122_3344);
        Assert.Equal(0x44, memory.Span(memory.Start, 1)[0]);
        SetLock(flash, 0, 0x2F);
        SetLock(flash, 0, 0xD0);
        Program(flash, 0, 0);
        Assert.Equal(0x44, memory.Span(memory.Start, 1)[0]);
        flash.Reset();
        Program(flash, 0, 0);
        Assert.Equal(0, memory.Span(memory.Start, 1)[0]);
    }

    [Fact]
    public void Flash_in_array_mode_is_memory_and_else_a_device()
    {
        (CfiFlash flash, GuestMemory memory) = Bank();
        var bus = new PhysicalAddressSpace();
        bus.AddMemory(memory);
        bus.Map(flash, memory.Start, memory.Size);
        Assert.Same(memory, bus.FindMemory(memory.Start.Value + 4));
        Assert.False(bus.IsRam(memory.Start.Value, 4));
        int withdrawn = 0;
        memory.Withdrawn += () => withdrawn++;

        // Nobody has cached it.
        bus.TryWrite(memory.Start.Value, 4, 0x0070_0070);
        Assert.Null(bus.FindMemory(memory.Start.Value + 4));
        Assert.Equal(0, withdrawn);
        Assert.False(memory.TryCache());
        bus.TryWrite(memory.Start.Value, 4, 0x00FF_00FF);
        Assert.True(memory.TryCache());
        bus.TryWrite(memory.Start.Value, 4, 0x0070_0070);
        Assert.Equal(1, withdrawn);
    }

    [Fact]
    public void Flash_that_keeps_its_contents_is_busy_until_they_are_written_back()
    {
        (CfiFlash flash, GuestMemory memory) = Bank(fill: 0xFF, keeps: true);
        int rings = 0;
        flash.WriteBackReady.Connect(() => rings++);
        Program(flash, 0x1234, 0);
        Assert.Equal(1, rings);
        Assert.Equal(0ul, flash.Read(0, 4));
        Assert.True(flash.TryGetWriteBack(out int start, out int length));
        Assert.Equal((0x1234, 4), (start, length));

        // Commands are ignored, so the bytes stay as they are.
        Erase(flash, 0);
        Assert.Equal(0, memory.Span(memory.Start + 0x1234, 1)[0]);
        flash.CompleteWriteBack(written: true);
        Assert.Equal(Ready, Status(flash));
        Assert.False(flash.TryGetWriteBack(out _, out _));

        Erase(flash, 0);
        flash.CompleteWriteBack(written: false);
        Assert.Equal(Ready | SequenceError, Status(flash));
    }

    [Fact]
    public void Flash_snapshot_has_the_contents_and_they_are_written_back_where_it_is_loaded()
    {
        (CfiFlash flash, GuestMemory memory) = Bank();
        memory.Span(memory.Start + (2 * Sector), 1)[0] = 0x5A;
        byte[] snapshot = Save(new Subject(flash, [], [], () => { }, flash));
        (CfiFlash loaded, GuestMemory other) = Bank(fill: 0xFF, keeps: true);
        Archive.Load(new MemoryStream(snapshot), [loaded]);
        Assert.True(memory.Span(memory.Start, Size).SequenceEqual(other.Span(other.Start, Size)));
        Assert.True(loaded.TryGetWriteBack(out int start, out int length));
        Assert.Equal((0, Size), (start, length));
    }

    private (CfiFlash Flash, GuestMemory Memory) Bank(byte fill = 0, bool readOnly = false, bool keeps = false)
    {
        var memory = new GuestMemory(new GuestPhysicalAddress(0x0400_0000), Size, readOnly: true);
        _memories.Add(memory);
        if (fill != 0)
        {
            memory.Span(memory.Start, Size).Fill(fill);
        }

        var flash = new CfiFlash("flash", memory, readOnly, keeps ? new SafeFileHandle() : null);
        flash.Reset();
        return (flash, memory);
    }

    private static void Program(CfiFlash flash, ulong offset, uint value)
    {
        flash.Write(offset, 4, 0x0040_0040);
        flash.Write(offset, 4, value);
    }

    private static void Erase(CfiFlash flash, ulong offset)
    {
        flash.Write(offset, 4, 0x0020_0020);
        flash.Write(offset, 4, 0x00D0_00D0);
    }

    private static void SetLock(CfiFlash flash, ulong offset, byte what)
    {
        flash.Write(offset, 4, 0x0060_0060);
        flash.Write(offset, 4, what);
    }

    private static ulong Status(CfiFlash flash)
    {
        flash.Write(0, 4, 0x0070_0070);
        return flash.Read(0, 4);
    }
}
