using Vmm.Emulation.Devices.Pl061;
using Vmm.Emulation.Interrupts;

namespace Vmm.Emulation.Tests.Devices;

public sealed class Pl061Tests : DeviceFixture
{
    private const ulong GPIODIR = 0x400;
    private const ulong GPIOIS = 0x404;
    private const ulong GPIOIBE = 0x408;
    private const ulong GPIOIEV = 0x40C;
    private const ulong GPIOIE = 0x410;
    private const ulong GPIORIS = 0x414;
    private const ulong GPIOMIS = 0x418;
    private const ulong GPIOIC = 0x41C;
    private const ulong AllPins = 0x3FC;

    private readonly InterruptLine _line = UnconnectedLine.New();

    internal override Subject Create()
    {
        var gpio = new Pl061(UnconnectedLine.New());
        return new Subject(gpio, [gpio], [0x1000], gpio.Reset, gpio);
    }

    internal override void Disturb(Subject subject)
    {
        ((Pl061)subject.Device).SetInput(3, true);
        subject.Frames[0].Write(GPIODIR, 4, 0xF0);
        subject.Frames[0].Write(AllPins, 4, 0xA5);
        subject.Frames[0].Write(GPIOIE, 4, 0x0F);
    }

    [Fact]
    public void Gpio_data_is_masked_by_the_address_and_written_to_outputs_only()
    {
        var gpio = new Pl061(_line);
        gpio.Write(GPIODIR, 4, 0xF0);
        gpio.Write(AllPins, 4, 0xFF);
        gpio.SetInput(1, true);
        Assert.Equal(0xF2ul, gpio.Read(AllPins, 4));
        Assert.Equal(0x12ul, gpio.Read((0x10 | 0x02) << 2, 4));
        gpio.Write(0x10 << 2, 4, 0);
        Assert.Equal(0xE2ul, gpio.Read(AllPins, 4));
    }

    [Theory]
    [InlineData(0, 0x08)] // rising edge
    [InlineData(0, 0x00)] // falling edge, of the same press
    [InlineData(0x08, 0)] // both
    public void Gpio_press_of_a_button_interrupts_until_it_is_cleared(byte both, byte rising)
    {
        var gpio = new Pl061(_line);
        gpio.Write(GPIOIBE, 4, both);
        gpio.Write(GPIOIEV, 4, rising);
        gpio.Write(GPIOIE, 4, 0x08);
        gpio.SetInput(3, true);
        gpio.SetInput(3, false);
        Assert.True(_line.Level);
        Assert.Equal(0x08ul, gpio.Read(GPIOMIS, 4));
        gpio.Write(GPIOIC, 4, 0x08);
        Assert.False(_line.Level);
    }

    [Fact]
    public void Gpio_masked_press_shows_in_the_raw_status_only()
    {
        var gpio = new Pl061(_line);
        gpio.Write(GPIOIEV, 4, 0x08);
        gpio.SetInput(3, true);
        gpio.SetInput(3, false);
        Assert.False(_line.Level);
        Assert.Equal(0x08ul, gpio.Read(GPIORIS, 4));
        Assert.Equal(0ul, gpio.Read(GPIOMIS, 4));
    }

    [Fact]
    public void Gpio_level_interrupt_follows_the_pin_and_cannot_be_cleared()
    {
        var gpio = new Pl061(_line);
        gpio.Write(GPIOIS, 4, 0x08);
        gpio.Write(GPIOIEV, 4, 0x08);
        gpio.Write(GPIOIE, 4, 0x08);
        Assert.False(_line.Level);
        gpio.SetInput(3, true);
        gpio.Write(GPIOIC, 4, 0x08);
        Assert.True(_line.Level);
        gpio.SetInput(3, false);
        Assert.False(_line.Level);
    }

    [Fact]
    public void Gpio_identifies_itself_as_a_PL061()
    {
        var gpio = new Pl061(_line);
        ulong id = 0;
        for (int i = 0; i < 4; i++)
        {
            id |= gpio.Read(0xFE0 + ((ulong)i * 4), 4) << (i * 8);
        }

        Assert.Equal(0x0004_1061ul, id);
    }
}
