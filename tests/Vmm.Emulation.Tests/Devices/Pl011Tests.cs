using Vmm.Emulation.Devices.Pl011;
using Vmm.Emulation.Interrupts;

namespace Vmm.Emulation.Tests.Devices;

public sealed class Pl011Tests : DeviceFixture
{
    private const ulong UARTDR = 0x00;
    private const ulong UARTFR = 0x18;
    private const ulong UARTLCR_H = 0x2C;
    private const ulong UARTCR = 0x30;
    private const ulong UARTIFLS = 0x34;
    private const ulong UARTIMSC = 0x38;
    private const ulong UARTRIS = 0x3C;
    private const ulong UARTICR = 0x44;
    private const uint Receive = 1 << 4;
    private const uint Transmit = 1 << 5;
    private const uint Timeout = 1 << 6;
    private const uint Overrun = 1 << 10;

    private readonly InterruptLine _line = UnconnectedLine.New();

    internal override Subject Create()
    {
        var uart = new Pl011(UnconnectedLine.New());
        return new Subject(uart, [uart], [0x1000], uart.Reset, uart);
    }

    internal override void Disturb(Subject subject)
    {
        var uart = (Pl011)subject.Device;
        uart.Write(UARTLCR_H, 4, 0x70);
        uart.Write(UARTCR, 4, 0x301);
        uart.Write(UARTIMSC, 4, 0x50);
        uart.Write(UARTDR, 4, 'x');
        uart.Receive("typed"u8);
    }

    // With FIFOs, and a guest that has once listened.
    private Pl011 WithFifos()
    {
        var uart = new Pl011(_line);
        uart.Write(UARTLCR_H, 4, 0x70);
        uart.Write(UARTIMSC, 4, Receive);
        uart.Write(UARTIMSC, 4, 0);
        return uart;
    }

    [Fact]
    public void Pl011_takes_no_input_until_the_guest_unmasks_a_receive_interrupt()
    {
        var uart = new Pl011(_line);
        int rings = 0;
        uart.Listening.Connect(() => rings++);
        uart.Write(UARTIMSC, 4, Transmit);
        Assert.Equal(0, uart.Receive("a"u8));
        uart.Write(UARTIMSC, 4, Timeout);
        Assert.Equal(1, rings);
        Assert.Equal(1, uart.Receive("a"u8));
        uart.Reset();
        Assert.Equal(0, uart.Receive("a"u8));
    }

    [Fact]
    public void Pl011_takes_input_once_the_guest_polls_as_EDK2_does_with_reads_of_UARTCR_in_between()
    {
        var uart = new Pl011(_line);
        for (int i = 0; i < 20; i++)
        {
            Assert.Equal(0x90ul, uart.Read(UARTFR, 4));
            uart.Read(0x30, 4);
        }

        Assert.Equal(1, uart.Receive("a"u8));
    }

    [Fact]
    public void Pl011_takes_input_once_the_guest_polls_and_not_while_it_only_sends()
    {
        var uart = new Pl011(_line);
        int rings = 0;
        uart.Listening.Connect(() => rings++);
        for (int i = 0; i < 100; i++)
        {
            uart.Read(UARTFR, 4);
            uart.Write(UARTDR, 4, 'x');
            uart.Read(UARTFR, 4);
        }

        Assert.Equal(0, uart.Receive("a"u8));
        for (int i = 0; i < 100; i++)
        {
            uart.Read(UARTFR, 4);
        }

        Assert.Equal(1, rings);
        Assert.Equal(1, uart.Receive("a"u8));
    }

    [Fact]
    public void Pl011_output_reaches_the_owner_in_order_with_one_ring()
    {
        var uart = new Pl011(_line);
        int rings = 0;
        uart.OutputReady.Connect(() => rings++);
        foreach (byte b in "hello"u8)
        {
            uart.Write(UARTDR, 4, b);
        }

        var buffer = new byte[16];
        Assert.Equal(5, uart.Drain(buffer));
        Assert.Equal("hello"u8.ToArray(), buffer[..5]);
        Assert.Equal(1, rings);
    }

    [Fact]
    public void Pl011_with_a_full_ring_says_so_and_interrupts_when_drained()
    {
        var uart = new Pl011(_line);
        int sent = 0;
        while ((uart.Read(UARTFR, 4) & (1 << 5)) == 0)
        {
            uart.Write(UARTDR, 4, (byte)sent++);
        }

        uart.Write(UARTICR, 4, Transmit);
        uart.Write(UARTIMSC, 4, Transmit);
        uart.Write(UARTDR, 4, 'x');
        Assert.False(_line.Level);
        var buffer = new byte[sent + 1];
        Assert.Equal(sent, uart.Drain(buffer));
        Assert.True(_line.Level);
        Assert.Equal(0ul, uart.Read(UARTFR, 4) & (1 << 5));
    }

    [Theory]
    [InlineData(0, 2)]
    [InlineData(1, 4)]
    [InlineData(2, 8)]
    [InlineData(3, 12)]
    [InlineData(4, 14)]
    public void Pl011_receive_interrupt_comes_at_the_trigger_level(uint level, int trigger)
    {
        Pl011 uart = WithFifos();
        uart.Write(UARTIFLS, 4, level << 3);
        uart.Receive(new byte[trigger - 1]);
        Assert.Equal(Timeout, uart.Read(UARTRIS, 4));
        uart.Receive(new byte[1]);
        Assert.Equal(Timeout | Receive, uart.Read(UARTRIS, 4));
        uart.Read(UARTDR, 4);
        Assert.Equal(Timeout, uart.Read(UARTRIS, 4));
    }

    [Fact]
    public void Pl011_input_beyond_the_fifo_waits_for_room()
    {
        Pl011 uart = WithFifos();
        int rings = 0;
        uart.InputRoom.Connect(() => rings++);
        Assert.Equal(16, uart.Receive("0123456789abcdefg"u8));
        Assert.Equal(0, uart.Receive("g"u8));
        Assert.Equal(0, rings);
        Assert.Equal((ulong)'0', uart.Read(UARTDR, 4));
        Assert.Equal(1, rings);
        Assert.Equal(1, uart.Receive("g"u8));
        Assert.Equal("123456789abcdefg", string.Concat(Enumerable.Range(0, 16).Select(_ => (char)uart.Read(UARTDR, 4))));
        Assert.Equal(1ul << 4, uart.Read(UARTFR, 4) & (1 << 4));
    }

    [Fact]
    public void Pl011_in_loopback_receives_what_it_sends_and_overruns()
    {
        Pl011 uart = WithFifos();
        uart.Write(UARTCR, 4, 0x381);
        for (int i = 0; i < 17; i++)
        {
            uart.Write(UARTDR, 4, (byte)('a' + i));
        }

        Assert.Equal(Overrun, uart.Read(UARTRIS, 4) & Overrun);
        Assert.Equal(1u << 11 | 'a', uart.Read(UARTDR, 4));
        Assert.Equal((ulong)'b', uart.Read(UARTDR, 4));
        Assert.Equal(0, uart.Drain(new byte[1]));
    }

    [Fact]
    public void Pl011_line_is_level_and_follows_the_mask()
    {
        Pl011 uart = WithFifos();
        uart.Receive("a"u8);
        Assert.False(_line.Level);
        uart.Write(UARTIMSC, 4, Timeout);
        Assert.True(_line.Level);
        uart.Read(UARTDR, 4);
        Assert.False(_line.Level);
    }
}
