using Akka.Actor;
using Microsoft.Win32.SafeHandles;
using Vmm.Actors.Devices;
using Vmm.Actors.Protocol;
using Vmm.Emulation;
using Vmm.Emulation.Devices.CfiFlash;
using Vmm.Emulation.Devices.Ged;
using Vmm.Emulation.Devices.Pl031;
using Vmm.Emulation.Devices.Pl061;
using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Memory;

namespace Vmm.Actors.Tests;

/// <summary>Devices through their actors, on the real cores.</summary>
public sealed class DeviceTests : VmTestKit
{
    private const ulong UARTDR = 0x00;
    private const ulong UARTFR = 0x18;
    private const ulong UARTIBRD = 0x24;
    private const ulong UARTIMSC = 0x38;
    private const ulong ReceiveTimeout = 0x40;
    private const ulong RTCMR = 0x04;
    private const ulong RTCIMSC = 0x10;
    private const ulong GPIOIEV = 0x40C;
    private const ulong GPIOIE = 0x410;
    private const ulong GPIORIS = 0x414;
    private const ulong GPIOIC = 0x41C;

    [Fact]
    public void Power_button_of_the_GPIO_port_is_pressed_until_the_guest_notices_and_let_go()
    {
        var gpio = new Pl061(UnconnectedLine.New());
        IActorRef actor = Sys.ActorOf(Props.Create(() => new GpioActor(gpio, 3)));

        // Before the guest has set the port up, and when it clears what was there before.
        actor.Tell(new PressPowerButton());
        gpio.Write(GPIOIEV, 4, 0x08);
        AwaitCondition(() => gpio.Read(GPIORIS, 4) == 0x08, s_patience);
        gpio.Write(GPIOIC, 4, 0xFF);
        gpio.Write(GPIOIE, 4, 0x08);
        AwaitCondition(() => gpio.Read(GPIORIS, 4) == 0x08, s_patience);
        Assert.Equal(0x08u, gpio.Read(0x08 << 2, 4));
        gpio.Write(GPIOIC, 4, 0x08);
        AwaitCondition(() => gpio.Read(0x08 << 2, 4) == 0, s_patience);
    }

    [Fact]
    public void Flash_is_busy_until_its_actor_has_written_what_changed_to_the_file()
    {
        string path = Path.GetTempFileName();
        try
        {
            using SafeFileHandle file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
            using var memory = new GuestMemory(new GuestPhysicalAddress(0), 1 << 20, readOnly: true);
            var flash = new CfiFlash("flash1", memory, readOnly: false, file);

            // Before the actor is there.
            flash.Write(0x4_0000, 4, 0x0020_0020);
            flash.Write(0x4_0000, 4, 0x00D0_00D0);
            Assert.Equal(0ul, flash.Read(0, 1));
            IActorRef actor = Sys.ActorOf(Props.Create(() => new FlashActor(flash)));
            AwaitCondition(() => flash.Read(0, 1) == 0x80, s_patience);
            byte[] kept = ReadAll(file);
            Assert.Equal(0x8_0000, kept.Length);
            Assert.False(kept.AsSpan(0, 0x4_0000).ContainsAnyExcept((byte)0));
            Assert.False(kept.AsSpan(0x4_0000).ContainsAnyExcept((byte)0xFF));

            flash.Write(0x4_0010, 4, 0x0040_0040);
            flash.Write(0x4_0010, 4, 0x1234_5678);
            AwaitCondition(() => flash.Read(0, 1) == 0x80, s_patience);
            Assert.Equal([0x78, 0x56, 0x34, 0x12, 0xFF], ReadAll(file)[0x4_0010..0x4_0015]);

            // What cannot be kept is an error of the chip, and no failure of the VM.
            file.Dispose();
            flash.Write(0, 4, 0x0040_0040);
            flash.Write(0, 4, 0);
            AwaitCondition(() => flash.Read(0, 1) == 0xB0, s_patience);
            actor.Tell(new ResetDevices(), TestActor);
            ExpectMsg<DevicesReset>();
            Assert.True(memory.IsDirect);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static byte[] ReadAll(SafeFileHandle file)
    {
        byte[] bytes = new byte[RandomAccess.GetLength(file)];
        Assert.Equal(bytes.Length, RandomAccess.Read(file, bytes, 0));
        return bytes;
    }

    [Fact]
    public void Alarm_raises_the_line_when_its_time_has_come_and_not_before()
    {
        var clock = new ManualClock(1000.95);
        InterruptLine line = UnconnectedLine.New();
        var rtc = new Pl031(line, clock);
        Sys.ActorOf(Props.Create(() => new RtcActor(rtc)));
        rtc.Write(RTCMR, 4, 1001);
        rtc.Write(RTCIMSC, 4, 1);

        // The host timer comes after 50 ms, more than once, as long as the clock stands.
        ExpectNoMsg(150);
        Assert.False(line.Level);
        clock.Seconds = 1001;
        AwaitCondition(() => line.Level, s_patience);
    }

    [Fact]
    public void Alarm_that_was_set_before_the_actor_started_is_kept()
    {
        var clock = new ManualClock(1000.95);
        InterruptLine line = UnconnectedLine.New();
        var rtc = new Pl031(line, clock);
        rtc.Write(RTCMR, 4, 1001);
        rtc.Write(RTCIMSC, 4, 1);
        clock.Seconds = 1001;
        Sys.ActorOf(Props.Create(() => new RtcActor(rtc)));
        AwaitCondition(() => line.Level, s_patience);
    }

    [Fact]
    public void Alarm_that_is_taken_back_does_not_come()
    {
        var clock = new ManualClock(1000.9);
        InterruptLine line = UnconnectedLine.New();
        var rtc = new Pl031(line, clock);
        IActorRef actor = Sys.ActorOf(Props.Create(() => new RtcActor(rtc)));
        rtc.Write(RTCMR, 4, 1001);
        rtc.Write(RTCIMSC, 4, 1);
        actor.Tell(new ResetDevices(), TestActor);
        ExpectMsg(new DevicesReset(""), s_patience);
        rtc.Write(RTCIMSC, 4, 1);
        clock.Seconds = 1002;
        ExpectNoMsg(250);
        Assert.False(line.Level);
    }

    [Fact]
    public void Power_button_raises_the_GED()
    {
        IActorRef vm = Start();
        vm.Tell(new PressPowerButton(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Running, ""), s_patience);
        ulong seen = 0;
        AwaitCondition(() => (seen |= _machine.Ged.Read(0, 4)) != 0, s_patience);
        Assert.Equal((ulong)GedEvents.PowerButton, seen);
    }

    [Fact]
    public void Reset_of_the_vm_resets_every_device_before_it_runs_again()
    {
        IActorRef vm = Start();
        _machine.Uart.Write(UARTIBRD, 4, 13);
        _machine.Rtc.Write(RTCMR, 4, 77);
        _machine.Rtc.Write(RTCIMSC, 4, 1);
        _machine.Ged.Raise(GedEvents.PowerButton);
        _machine.Gic.Distributor.Write(0, 4, 2);
        Assert.Equal(2u, _machine.Gic.Distributor.Read(0, 4) & 2);

        vm.Tell(new ResetVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Running, ""), s_patience);

        Assert.Equal(0u, _machine.Uart.Read(UARTIBRD, 4));
        Assert.Equal(0u, _machine.Rtc.Read(RTCMR, 4));
        Assert.Equal(0u, _machine.Rtc.Read(RTCIMSC, 4));
        Assert.Equal(0u, _machine.Ged.Read(0, 4));
        Assert.Equal(0u, _machine.Gic.Distributor.Read(0, 4) & 2);
        Assert.Equal(2, _machine.Log.Count(l => l == "reset"));
    }

    [Fact]
    public void Serial_input_that_waits_survives_a_reset_and_goes_on_by_itself()
    {
        IActorRef vm = Start();
        byte[] typed = [1, 2, 3, 4, 5];
        _machine.Uart.Write(UARTIMSC, 4, ReceiveTimeout);
        vm.Tell(new SendSerial(typed));

        // The receiver, of one byte, is full (RXFF), and the rest waits behind; the reset empties the receiver.
        AwaitCondition(() => (_machine.Uart.Read(UARTFR, 4) & 0x40) != 0, s_patience);
        vm.Tell(new ResetVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Running, ""), s_patience);
        Assert.Equal(0u, _machine.Uart.Read(UARTIMSC, 4));
        _machine.Uart.Write(UARTIMSC, 4, ReceiveTimeout);
        var read = new List<byte>();
        AwaitCondition(
            () =>
            {
                while ((_machine.Uart.Read(UARTFR, 4) & 0x10) == 0)
                {
                    read.Add((byte)_machine.Uart.Read(UARTDR, 4));
                }

                return read.Count == 4;
            },
            s_patience);
        Assert.Equal(typed[1..], read);
    }

    [Fact]
    public void Host_stream_that_fails_for_a_moment_is_tried_again()
    {
        int failures = 3;
        var written = new List<byte>();
        Start(bytes =>
        {
            if (failures-- > 0)
            {
                throw new IOException("busy");
            }

            lock (written)
            {
                written.AddRange(bytes.ToArray());
            }
        });
        AwaitCondition(
            () =>
            {
                _machine.Uart.Write(UARTDR, 4, 'a');
                lock (written)
                {
                    return written.Count > 0;
                }
            },
            s_patience);
    }

    [Fact]
    public void Host_stream_that_fails_for_good_stops_the_vm_with_a_report()
    {
        IActorRef vm = Start(_ => throw new IOException("broken pipe"));
        AwaitAssert(
            () =>
            {
                _machine.Uart.Write(UARTDR, 4, 'a');
                vm.Tell(new GetVmStatus(), TestActor);
                VmStatus status = ExpectMsg<VmStatus>(s_patience);
                Assert.Equal(VmRunState.InternalError, status.RunState);
                Assert.Contains("uart fails again and again: broken pipe", status.Detail, StringComparison.Ordinal);
            },
            s_patience);
    }

    [Fact]
    public void Defect_in_a_device_actor_stops_the_vm_at_once()
    {
        IActorRef vm = Start(_ => throw new InvalidOperationException("defect"));
        _machine.Uart.Write(UARTDR, 4, 'a');
        Assert.StartsWith("devices: System.InvalidOperationException: defect", AwaitStatus(vm, VmRunState.InternalError),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("uart")]
    [InlineData("rtc")]
    [InlineData("ged")]
    [InlineData("gic")]
    public void State_of_a_device_comes_back(string device)
    {
        IActorRef vm = Start();
        vm.Tell(new GetDeviceState(device), TestActor);
        ExpectMsg(new VmCommandRejected(RejectionCode.WrongRunState, "the VM is running"), s_patience);
        vm.Tell(new StopVm(), TestActor);
        ExpectMsg<VmStatus>(s_patience);
        _machine.Uart.Write(UARTIBRD, 4, 13);
        _machine.Rtc.Write(RTCIMSC, 4, 1);
        _machine.Ged.Raise(GedEvents.PowerButton);
        _machine.Gic.Distributor.Write(0, 4, 2);
        DeviceState saved = State(vm, device);

        vm.Tell(new ResetVm(), TestActor);
        ExpectMsg<VmStatus>(s_patience);
        Assert.NotEqual(saved.Bytes, State(vm, device).Bytes);
        vm.Tell(new LoadDeviceState(device, saved.Bytes), TestActor);
        ExpectMsg(new DeviceStateLoaded(device), s_patience);
        Assert.Equal(saved.Bytes, State(vm, device).Bytes);
    }

    [Fact]
    public void State_that_does_not_fit_is_rejected_in_one_line()
    {
        IActorRef vm = Start();
        vm.Tell(new StopVm(), TestActor);
        ExpectMsg<VmStatus>(s_patience);
        vm.Tell(new LoadDeviceState("rtc", State(vm, "ged").Bytes), TestActor);
        ExpectMsg(new VmCommandRejected(RejectionCode.InvalidState, "the archive has no unit 'pl031'"), s_patience);
        vm.Tell(new LoadDeviceState("rtc", [1, 2, 3]), TestActor);
        Assert.DoesNotContain('\n', ExpectMsg<VmCommandRejected>(s_patience).Reason);
        vm.Tell(new GetDeviceState("tape"), TestActor);
        ExpectMsg(new VmCommandRejected(RejectionCode.DeviceNotFound, "Device 'tape' not found"), s_patience);
    }

    private DeviceState State(IActorRef vm, string device)
    {
        vm.Tell(new GetDeviceState(device), TestActor);
        DeviceState state = ExpectMsg<DeviceState>(s_patience);
        Assert.Equal(device, state.Device);
        return state;
    }

    private sealed class ManualClock(double seconds) : TimeProvider
    {
        private double _seconds = seconds;

        public double Seconds
        {
            get => Volatile.Read(ref _seconds);
            set => Volatile.Write(ref _seconds, value);
        }

        public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddSeconds(Seconds);
    }
}
